import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { listen, partOptions, say } from './part.ts';

/** The official wireguard-go, which knows nothing of standard input, made to end with it. */
export interface ForeignDevicePart {
  readonly binary: string;
  /** Interface name; its configuration socket has the same name on the whole machine. */
  readonly device: string;
}

export const foreignSocket = (device: string) => `/var/run/wireguard/${device}.sock`;

/** Path of the official implementation: WIREGUARD_GO, or built from the pinned module. */
export function foreignBinary(): string {
  const script = resolve(import.meta.dirname, '../../native-bench/build-wireguard-go.sh');
  return process.env.WIREGUARD_GO ?? execFileSync('sh', [script], { encoding: 'utf8' }).trim();
}

async function run({ binary, device }: ForeignDevicePart): Promise<void> {
  const daemon = spawn(binary, ['-f', device], {
    // Standard output is ours to talk on.
    stdio: ['ignore', process.stderr, process.stderr],
    env: { ...process.env, WG_PROCESS_FOREGROUND: '1' },
  });
  let stopping = false;
  listen(
    () => {},
    () => {
      stopping = true;
      daemon.kill('SIGTERM');
    },
  );
  daemon.on('error', (error) => {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  });
  daemon.on('exit', () => process.exit(stopping ? 0 : 1));
  while (!existsSync(foreignSocket(device))) await delay(10);
  say({ ready: device });
}

if (import.meta.main) await run(partOptions<ForeignDevicePart>());
