import { type ChildProcess, execFileSync } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CpuTime, cpuTime } from '../../test/lab/process-usage.ts';
import { end, pause, run, start } from './commands.ts';
import type { Implementation } from './implementations.ts';
import { Link, type LinkEnd } from './link.ts';

const PORT = 51_820;
const MTU = 1420;
const START_TIMEOUT = 15_000;

/** Traffic goes from the left end to the right one unless a measure says otherwise. */
export interface Path {
  readonly left: LinkEnd;
  readonly right: LinkEnd;
  /** Processes that carry the traffic: none, or one at each end. */
  readonly processes: readonly number[];
  close(): Promise<void>;
}

/** A link without any tunnel. */
export function barePath(): Path {
  const link = new Link();
  return {
    left: link.left,
    right: link.right,
    processes: [],
    close: () => link.close(),
  };
}

interface Keys {
  readonly privateKey: string;
  readonly publicKey: string;
}

function generateKeys(): Keys {
  const { d, x } = generateKeyPairSync('x25519').privateKey.export({ format: 'jwk' });
  const base64 = (text: string) => Buffer.from(text, 'base64url').toString('base64');
  return { privateKey: base64(d!), publicKey: base64(x!) };
}

let interfaces = 0;

/** One end of a tunnel: a running implementation. */
export class TunnelEnd {
  readonly implementation: Implementation;
  readonly outer: LinkEnd;
  readonly inner: LinkEnd;
  readonly name: string;
  readonly keys = generateKeys();
  readonly child: ChildProcess;
  /** ms from its start until it answered `get=1` on its socket. */
  startUp = Number.NaN;
  /** What it has printed. */
  output = '';
  readonly startedAt = performance.now();

  constructor(implementation: Implementation, outer: LinkEnd, address: string) {
    this.implementation = implementation;
    this.outer = outer;
    this.inner = { namespace: outer.namespace, address };
    this.name = `b${process.pid.toString(36)}${(interfaces++).toString(36)}`;
    const command = implementation.command(this.name);
    const inNamespace = ['ip', 'netns', 'exec', outer.namespace, ...command];
    this.child = start(inNamespace, implementation.environment);
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on('data', (data) => {
        this.output += data;
      });
    }
  }

  /** `ip netns exec`, the launcher and the program replace one another: it is one process. */
  get pid(): number {
    return this.child.pid!;
  }

  private get socket(): string {
    return `/var/run/wireguard/${this.name}.sock`;
  }

  async ready(): Promise<void> {
    for (;;) {
      if (this.child.exitCode !== null) throw new Error(`${this.describe()} ended`);
      if (existsSync(this.socket) && (await answers(this.socket))) break;
      if (performance.now() - this.startedAt > START_TIMEOUT)
        throw new Error(`${this.describe()} hangs`);
      await pause(1);
    }
    this.startUp = performance.now() - this.startedAt;
  }

  configure(folder: string, psk: string, other: TunnelEnd): void {
    const { namespace } = this.outer;
    const file = join(folder, this.name);
    const lines = [
      '[Interface]',
      `PrivateKey = ${this.keys.privateKey}`,
      `ListenPort = ${PORT}`,
      '[Peer]',
      `PublicKey = ${other.keys.publicKey}`,
      `PresharedKey = ${psk}`,
      `Endpoint = ${other.outer.address}:${PORT}`,
      `AllowedIPs = ${other.inner.address}/32`,
    ];
    writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o600 });
    run('ip', 'netns', 'exec', namespace, 'wg', 'setconf', this.name, file);
    run('ip', '-n', namespace, 'address', 'add', `${this.inner.address}/24`, 'dev', this.name);
    run('ip', '-n', namespace, 'link', 'set', this.name, 'mtu', String(MTU), 'up');
  }

  async close(): Promise<void> {
    await end(this.child);
    rmSync(this.socket, { force: true });
  }

  private describe(): string {
    return `${this.implementation.name}: ${this.output.trim().slice(-2000)}\n`;
  }
}

/** Asks as `wg show` does. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => socket.write('get=1\n\n'));
    let answer = '';
    socket.on('data', (data) => {
      answer += data;
      if (!answer.includes('errno=')) return;
      socket.destroy();
      resolve(answer.includes('errno=0'));
    });
    socket.on('error', () => resolve(false));
    socket.on('end', () => resolve(false));
  });
}

/** A tunnel between two namespaces. */
export class Tunnel implements Path {
  private readonly link = new Link();
  private readonly running: TunnelEnd[] = [];

  /** Starts one end, then the other (so that start-up is of one process alone), and connects them. */
  static async open(implementations: readonly [Implementation, Implementation]): Promise<Tunnel> {
    const tunnel = new Tunnel();
    const folder = mkdtempSync(join(tmpdir(), 'end-to-end-'));
    try {
      await tunnel.startEnds(implementations);
      const psk = randomBytes(32).toString('base64');
      const [left, right] = tunnel.ends;
      left.configure(folder, psk, right);
      right.configure(folder, psk, left);
      execFileSync(
        'ip',
        ['netns', 'exec', left.outer.namespace, 'ping', '-nqc3', '-i0.2', right.inner.address],
        { stdio: 'ignore' },
      );
    } catch (error) {
      await tunnel.close();
      throw error;
    } finally {
      rmSync(folder, { recursive: true });
    }
    return tunnel;
  }

  private async startEnds(implementations: readonly [Implementation, Implementation]) {
    const { link } = this;
    const sides = [
      [implementations[0], link.left, '10.77.0.1'],
      [implementations[1], link.right, '10.77.0.2'],
    ] as const;
    for (const [implementation, outer, address] of sides) {
      const tunnelEnd = new TunnelEnd(implementation, outer, address);
      this.running.push(tunnelEnd);
      await tunnelEnd.ready();
    }
  }

  /** Left, right. */
  get ends(): readonly [TunnelEnd, TunnelEnd] {
    return [this.running[0]!, this.running[1]!];
  }

  get left(): LinkEnd {
    return this.ends[0].inner;
  }

  get right(): LinkEnd {
    return this.ends[1].inner;
  }

  get processes(): number[] {
    return this.running.map(({ pid }) => pid);
  }

  async close(): Promise<void> {
    await Promise.all(this.running.map((tunnelEnd) => tunnelEnd.close()));
    await this.link.close();
  }
}

/** CPU seconds of all processes together. */
export function cpuOf(path: Path): CpuTime {
  const times = path.processes.map(cpuTime);
  return {
    user: times.reduce((sum, { user }) => sum + user, 0),
    system: times.reduce((sum, { system }) => sum + system, 0),
  };
}
