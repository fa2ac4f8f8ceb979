import {
  type ChildProcess,
  execFile,
  execFileSync,
  type SpawnOptions,
  spawn,
} from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** What a finished command left. */
export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ExecOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** ms, default 60 s; then SIGKILL. */
  readonly timeout?: number;
  readonly input?: string;
}

function describeFailure(command: readonly string[], result: Partial<Finished>): Error {
  const output = `${result.stdout ?? ''}${result.stderr ?? ''}`.trim();
  return new Error(`${command.join(' ')}: exit ${result.code ?? result.signal}: ${output}`);
}

function runSync(command: readonly string[], options: ExecOptions = {}): string {
  const [file, ...args] = command;
  try {
    return execFileSync(file!, args, {
      encoding: 'utf8',
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: options.timeout ?? 60_000,
      killSignal: 'SIGKILL',
      maxBuffer: 64 << 20,
      input: options.input ?? '',
      ...(options.env && { env: { ...process.env, ...options.env } }),
    });
  } catch (error) {
    const { status, signal, stdout, stderr } = error as {
      status?: number | null;
      signal?: NodeJS.Signals | null;
      stdout?: string;
      stderr?: string;
    };
    throw describeFailure(command, {
      code: status ?? null,
      signal: signal ?? null,
      stdout: stdout ?? '',
      stderr: stderr ?? '',
    });
  }
}

/** A network namespace that a {@link Lab} made. */
export class Namespace {
  readonly name: string;
  private readonly lab: Lab;

  constructor(lab: Lab, name: string) {
    this.lab = lab;
    this.name = name;
  }

  /** File to open for setns(2). */
  get path(): string {
    return `/run/netns/${this.name}`;
  }

  private wrap(command: readonly string[]): string[] {
    return ['ip', 'netns', 'exec', this.name, ...command];
  }

  /** Runs a command to its end and returns its stdout; throws with its output if it fails. */
  run(command: readonly string[], options?: ExecOptions): string {
    return runSync(this.wrap(command), options);
  }

  /** As `run` without blocking this thread; a failing exit code is a result, not an error. */
  exec(command: readonly string[], options: ExecOptions = {}): Promise<Finished> {
    const [file, ...args] = this.wrap(command);
    return new Promise((resolve) => {
      const child = execFile(
        file!,
        args,
        {
          encoding: 'utf8',
          timeout: options.timeout ?? 60_000,
          killSignal: 'SIGKILL',
          maxBuffer: 64 << 20,
          ...(options.env && { env: { ...process.env, ...options.env } }),
        },
        (_error, stdout, stderr) => {
          resolve({ code: child.exitCode, signal: child.signalCode, stdout, stderr });
        },
      );
      child.stdin?.on('error', () => {}); // the command may end before it has read its input
      child.stdin?.end(options.input ?? '');
    });
  }

  /** Starts a process; the lab kills it at the end if the test has not. */
  spawn(command: readonly string[], options: SpawnOptions = {}): ChildProcess {
    return this.lab.spawn(this.wrap(command), options);
  }

  /** `ip -j ...` in this namespace, parsed. */
  ip<T = Record<string, unknown>[]>(...args: string[]): T {
    const output = this.run(['ip', '-j', ...args]);
    return JSON.parse(output === '' ? '[]' : output) as T;
  }

  /** Names of the interfaces in this namespace, without lo. */
  interfaces(): string[] {
    return this.ip<{ ifname: string }[]>('link', 'show')
      .map((link) => link.ifname)
      .filter((name) => name !== 'lo');
  }
}

export interface VethOptions {
  /** With prefix length: '10.0.0.1/24', 'fd00::1/64'. */
  readonly left?: readonly string[];
  readonly right?: readonly string[];
  readonly mtu?: number;
}

let labs = 0;

/** Namespaces, links and processes of one test file, under names no other file uses. */
export class Lab {
  /** At most 9 characters, so that interface names made with it fit in 15. */
  readonly prefix: string;
  private readonly namespaces: Namespace[] = [];
  private readonly children: ChildProcess[] = [];
  private readonly claimed: string[] = [];
  private links = 0;

  constructor() {
    this.prefix = `t${process.pid.toString(36)}${(labs++).toString(36)}`;
  }

  /** A unique interface name ('t1a2b0wg0'); the leak check looks for it in the root namespace. */
  interfaceName(label: string): string {
    const name = `${this.prefix}${label}`;
    if (name.length > 15) throw new RangeError(`interface name too long: ${name}`);
    this.claimed.push(name);
    return name;
  }

  /** A new namespace with lo up. */
  namespace(label: string): Namespace {
    const namespace = new Namespace(this, `${this.prefix}-${label}`);
    runSync(['ip', 'netns', 'add', namespace.name]);
    this.namespaces.push(namespace);
    namespace.run(['ip', 'link', 'set', 'lo', 'up']);
    return namespace;
  }

  /** Deletes a namespace before the end. */
  remove(namespace: Namespace): void {
    runSync(['ip', 'netns', 'del', namespace.name]);
    this.namespaces.splice(this.namespaces.indexOf(namespace), 1);
  }

  /** Connects two namespaces. Returns the interface names; both are up, addresses are usable. */
  veth(left: Namespace, right: Namespace, options: VethOptions = {}): [string, string] {
    const link = this.links++;
    const names: [string, string] = [
      this.interfaceName(`v${link}l`),
      this.interfaceName(`v${link}r`),
    ];
    runSync(
      `ip link add ${names[0]} netns ${left.name} type veth peer name ${names[1]} netns ${right.name}`.split(
        ' ',
      ),
    );
    const sides = [
      { namespace: left, name: names[0], addresses: options.left ?? [] },
      { namespace: right, name: names[1], addresses: options.right ?? [] },
    ];
    for (const { namespace, name, addresses } of sides) {
      for (const address of addresses) {
        // nodad: an IPv6 address is usable at once instead of after duplicate address detection
        const flags = address.includes(':') ? ['nodad'] : [];
        namespace.run(['ip', 'address', 'add', address, 'dev', name, ...flags]);
      }
      const mtu = options.mtu ? ['mtu', String(options.mtu)] : [];
      namespace.run(['ip', 'link', 'set', name, ...mtu, 'up']);
    }
    return names;
  }

  /** Starts a process in the root namespace that the lab kills at the end. */
  spawn(command: readonly string[], options: SpawnOptions = {}): ChildProcess {
    const [file, ...args] = command;
    const child = spawn(file!, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    this.children.push(child);
    return child;
  }

  /**
   * Kills what was started, deletes what was made, and returns a line for everything that was
   * left behind against expectation (it is removed too, so that the next file starts clean).
   */
  async close(): Promise<string[]> {
    await Promise.all(this.children.map(kill));
    const leaks: string[] = [];
    for (const namespace of this.namespaces) {
      for (const pid of runSync(['ip', 'netns', 'pids', namespace.name]).split(/\s+/)) {
        if (pid === '') continue;
        leaks.push(`process ${pid} in ${namespace.name}: ${commandLine(pid)}`);
        try {
          process.kill(Number(pid), 'SIGKILL');
        } catch {} // ended by itself
      }
      runSync(['ip', 'netns', 'del', namespace.name]);
    }
    const remaining = new Set(readdirSync('/sys/class/net'));
    for (const name of this.claimed) {
      if (!remaining.has(name)) continue;
      leaks.push(`interface ${name}`);
      runSync(['ip', 'link', 'del', name]);
    }
    for (const name of runSync(['ip', 'netns', 'list']).split('\n')) {
      if (name.startsWith(`${this.prefix}-`)) leaks.push(`namespace ${name}`);
    }
    for (const name of socketNames()) {
      if (this.claimed.includes(name)) leaks.push(`socket /var/run/wireguard/${name}.sock`);
    }
    return leaks;
  }
}

/** Resolves when a process has ended. */
export function ended(
  child: ChildProcess,
): Promise<{ code: number | null; signal: string | null }> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) {
    return Promise.resolve({ code: child.exitCode, signal: child.signalCode });
  }
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await ended(child);
}

/** Waits until `condition` returns something other than undefined or false. */
export async function until<T>(
  condition: () => T | undefined | false | Promise<T | undefined | false>,
  what: string,
  timeout = 30_000,
): Promise<T> {
  const deadline = performance.now() + timeout;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > deadline) throw new Error(`timed out waiting for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return 'ended';
  }
}

function socketNames(): string[] {
  try {
    return readdirSync('/var/run/wireguard').map((file) => file.replace(/\.sock$/, ''));
  } catch {
    return [];
  }
}
