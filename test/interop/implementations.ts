import type { ChildProcess } from 'node:child_process';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { ended, type Namespace, until } from '../lab/netns.ts';

const ROOT = resolve(import.meta.dirname, '../..');

/** A daemon that makes a WireGuard interface: `command -f NAME`. */
export interface Implementation {
  readonly name: 'ours' | 'official';
  /** Absolute path, called as wg-quick calls it. */
  command(): string;
}

let built: string | undefined;

export const official: Implementation = {
  name: 'official',
  command() {
    built ??=
      process.env.WIREGUARD_GO ??
      execFileSync('sh', [`${ROOT}/native-bench/build-wireguard-go.sh`], {
        encoding: 'utf8',
      }).trim();
    return built;
  },
};

export const ours: Implementation = {
  name: 'ours',
  command: () => `${ROOT}/bin/meshtun`,
};

/** What every scenario runs for. The left end starts the handshake. */
export const PAIRS: readonly (readonly [Implementation, Implementation])[] = pairs();

/** INTEROP_PAIRS=official-official checks the harness itself; default: all with us in them. */
function pairs(): (readonly [Implementation, Implementation])[] {
  const all = [
    [ours, official],
    [official, ours],
    [ours, ours],
    [official, official],
  ] as const;
  const wanted = process.env.INTEROP_PAIRS?.split(',');
  return all.filter(([left, right]) =>
    wanted === undefined
      ? left === ours || right === ours
      : wanted.includes(`${left.name}-${right.name}`),
  );
}

/** What the suites need of the machine. */
export const INTEROP_NEEDS = [
  'linux',
  'root',
  'tun',
  'netns',
  'wg',
  'ping',
  'wireguard-go',
  'node:ffi',
] as const;

export const socketOf = (name: string) => `/var/run/wireguard/${name}.sock`;

/** Starts it in the foreground; resolves when interface and socket are there. */
export async function startDaemon(
  implementation: Implementation,
  namespace: Namespace,
  name: string,
): Promise<ChildProcess> {
  const child = namespace.spawn([implementation.command(), '-f', name], {
    env: { ...process.env, WG_PROCESS_FOREGROUND: '1' },
  });
  let output = '';
  child.stdout?.on('data', (data) => {
    output += data;
  });
  child.stderr?.on('data', (data) => {
    output += data;
  });
  await until(() => {
    if (child.exitCode !== null) throw new Error(`${implementation.name} ended: ${output}`);
    return existsSync(socketOf(name));
  }, `the socket of ${implementation.name}`);
  return child;
}

/** Ends it as an operator would; throws if it does not end by itself or with another status. */
export async function stopDaemon(child: ChildProcess, name: string): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    child.kill('SIGTERM');
    await until(() => child.exitCode !== null || child.signalCode !== null, `the end of ${name}`);
  }
  const { code } = await ended(child);
  if (code !== 0) throw new Error(`${name} ended with status ${code ?? child.signalCode}`);
}
