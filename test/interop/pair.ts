import type { ChildProcess } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { Lab, type Namespace, until } from '../lab/netns.ts';
import { type Implementation, socketOf, startDaemon, stopDaemon } from './implementations.ts';
import { start, type Tool } from './tools.ts';

export interface Keys {
  /** base64 */
  readonly privateKey: string;
  readonly publicKey: string;
}

export function generateKeys(): Keys {
  const { d, x } = generateKeyPairSync('x25519').privateKey.export({ format: 'jwk' });
  const base64 = (text: string) => Buffer.from(text, 'base64url').toString('base64');
  return { privateKey: base64(d!), publicKey: base64(x!) };
}

export const generatePsk = () => randomBytes(32).toString('base64');

export interface PairOptions {
  /** Family of the UDP packets between the ends, default 4. */
  readonly outer?: 4 | 6;
  /** MTU of the tunnel, default 1420. The link below has room for it. */
  readonly mtu?: number;
  /** base64, the same at both ends. */
  readonly presharedKey?: string;
  /** Lines added to the peer section of both ends (`PersistentKeepalive = 1`). */
  readonly peerLines?: readonly string[];
  /** Leaves the peers without endpoints and the interfaces without peers. */
  readonly unconfigured?: boolean;
}

/** WireGuard over IPv6: 40 IP + 8 UDP + 32 of its own. */
const OVERHEAD = 80;

/** One end of a pair: a namespace with a daemon in it. */
export class End {
  readonly implementation: Implementation;
  readonly namespace: Namespace;
  /** Name of the WireGuard interface. */
  readonly name: string;
  /** Name of the link to the other end. */
  readonly link: string;
  readonly port: number;
  /** Addresses outside the tunnel. */
  readonly outer4: string;
  readonly outer6: string;
  /** Addresses in the tunnel. */
  readonly inner4: string;
  readonly inner6: string;
  keys = generateKeys();
  daemon: ChildProcess | undefined;

  constructor(
    implementation: Implementation,
    namespace: Namespace,
    name: string,
    link: string,
    number: number,
  ) {
    this.implementation = implementation;
    this.namespace = namespace;
    this.name = name;
    this.link = link;
    this.port = 51_000 + number;
    this.outer4 = `192.168.77.${number}`;
    this.outer6 = `fd77::${number}`;
    this.inner4 = `10.77.0.${number}`;
    this.inner6 = `fd10::${number}`;
  }

  outer(family: 4 | 6): string {
    return family === 4 ? this.outer4 : this.outer6;
  }

  endpoint(family: 4 | 6 = 4, port = this.port): string {
    return family === 4 ? `${this.outer4}:${port}` : `[${this.outer6}]:${port}`;
  }

  async start(mtu: number): Promise<void> {
    const { namespace, name } = this;
    this.daemon = await startDaemon(this.implementation, namespace, name);
    namespace.run(['ip', 'address', 'add', `${this.inner4}/24`, 'dev', name]);
    namespace.run(['ip', 'link', 'set', name, 'mtu', String(mtu), 'up']);
    namespace.run(['ip', 'address', 'add', `${this.inner6}/64`, 'dev', name, 'nodad']);
  }

  async stop(): Promise<void> {
    if (this.daemon !== undefined) await stopDaemon(this.daemon, this.implementation.name);
    this.daemon = undefined;
  }

  wg(...args: string[]): string {
    return this.namespace.run(['wg', ...args]);
  }

  /** `wg set NAME ...` with `input` as what /dev/stdin holds. */
  set(args: readonly string[], input = ''): void {
    // Through cat: wg opens /dev/stdin, and a pipe to a child process is a socket.
    const command = ['sh', '-c', 'cat | wg "$@"', 'wg', 'set', this.name, ...args];
    this.namespace.run(command, { input });
  }

  configure(verb: 'setconf' | 'addconf' | 'syncconf', configuration: string): void {
    const command = ['sh', '-c', 'cat | wg "$@"', 'wg', verb, this.name, '/dev/stdin'];
    this.namespace.run(command, { input: configuration });
  }

  /** The [Interface] section. */
  interfaceSection(): string {
    return `[Interface]\nPrivateKey = ${this.keys.privateKey}\nListenPort = ${this.port}\n`;
  }

  /** Second column of `wg show NAME <what>` for a peer. */
  show(what: string, peer: string): string {
    const lines = this.wg('show', this.name, what).split('\n');
    return lines.find((line) => line.startsWith(peer))?.split('\t')[1] ?? '';
  }

  /** Seconds since 1970, 0 for none. */
  latestHandshake(peer: string): number {
    return Number(this.show('latest-handshakes', peer));
  }

  /** Whether something is answered; by default one packet, in whatever time a busy machine takes. */
  ping(to: string, options: readonly string[] = ['-c', '1', '-W', '10']): Promise<boolean> {
    return this.namespace.exec(['ping', '-n', '-q', ...options, to]).then(({ code }) => code === 0);
  }

  /** Runs one of the tools in this namespace. */
  tool(name: string, ...args: (string | number)[]): Promise<Tool> {
    return start(this.namespace, name, args.map(String));
  }
}

/** Two ends with a link between them, configured as peers of each other. */
export class Pair {
  readonly lab = new Lab();
  readonly left: End;
  readonly right: End;
  readonly options: PairOptions;

  private constructor(
    implementations: readonly [Implementation, Implementation],
    options: PairOptions,
  ) {
    this.options = options;
    const [left, right] = [this.lab.namespace('l'), this.lab.namespace('r')];
    const mtu = Math.max(1500, (options.mtu ?? 0) + OVERHEAD);
    const links = this.lab.veth(left, right, { mtu });
    const name = (label: string) => this.lab.interfaceName(label);
    this.left = new End(implementations[0], left, name('wl'), links[0], 1);
    this.right = new End(implementations[1], right, name('wr'), links[1], 2);
    for (const end of [this.left, this.right]) {
      end.namespace.run(['ip', 'address', 'add', `${end.outer4}/24`, 'dev', end.link]);
      end.namespace.run(['ip', 'address', 'add', `${end.outer6}/64`, 'dev', end.link, 'nodad']);
    }
  }

  /** Runs `body` with a pair, then ends everything and throws if anything is left. */
  static async with(
    implementations: readonly [Implementation, Implementation],
    options: PairOptions,
    body: (pair: Pair) => Promise<void>,
  ): Promise<void> {
    const pair = new Pair(implementations, options);
    try {
      await Promise.all([pair.left, pair.right].map((end) => end.start(options.mtu ?? 1420)));
      if (!options.unconfigured) {
        pair.left.configure('setconf', pair.configuration(pair.left));
        pair.right.configure('setconf', pair.configuration(pair.right));
      }
      await body(pair);
      await Promise.all([pair.left.stop(), pair.right.stop()]);
    } catch (error) {
      await pair.lab.close();
      for (const { name } of [pair.left, pair.right]) rmSync(socketOf(name), { force: true });
      throw error;
    }
    const leaks = await pair.lab.close();
    if (leaks.length > 0) throw new Error(`left behind:\n${leaks.join('\n')}`);
  }

  otherOf(end: End): End {
    return end === this.left ? this.right : this.left;
  }

  /** The [Peer] section for the end opposite to `end`, with more lines added. */
  peerSection(end: End, ...lines: string[]): string {
    const other = this.otherOf(end);
    const { presharedKey, outer = 4, peerLines = [] } = this.options;
    return [
      '[Peer]',
      `PublicKey = ${other.keys.publicKey}`,
      ...(presharedKey === undefined ? [] : [`PresharedKey = ${presharedKey}`]),
      `AllowedIPs = ${other.inner4}/32, ${other.inner6}/128`,
      `Endpoint = ${other.endpoint(outer)}`,
      ...peerLines,
      ...lines,
      '',
    ].join('\n');
  }

  configuration(end: End): string {
    return end.interfaceSection() + this.peerSection(end);
  }

  /** The left end starts a handshake; both know it as done when this resolves. */
  async connect(): Promise<void> {
    const { left, right } = this;
    const often = ['-c', '1', '-W', '2'];
    await until(() => left.ping(right.inner4, often), 'an answer through the tunnel', 30_000);
    await until(
      () =>
        left.latestHandshake(right.keys.publicKey) > 0 &&
        right.latestHandshake(left.keys.publicKey) > 0,
      'the handshake at both ends',
    );
  }
}
