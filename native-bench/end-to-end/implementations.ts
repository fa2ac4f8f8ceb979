import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '../..');

/** A program that makes a WireGuard interface and stays in front. */
export interface Implementation {
  readonly name: string;
  readonly version: string;
  /** Command that makes the interface `name`. */
  command(name: string): readonly string[];
  readonly environment: NodeJS.ProcessEnv;
}

/** For all the same. */
export const QUIET = { LOG_LEVEL: 'error', WG_PROCESS_FOREGROUND: '1' };

function build(script: string): string {
  return execFileSync('sh', [`${ROOT}/native-bench/${script}`], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  }).trim();
}

function wireguardGo(): Implementation {
  const path = build('build-wireguard-go.sh');
  return {
    name: 'wireguard-go',
    version: path.split('/').at(-2)!,
    command: (name) => [path, '-f', name],
    environment: QUIET,
  };
}

function boringtun(): Implementation {
  const path = build('build-boringtun.sh');
  return {
    name: 'boringtun',
    version: execFileSync(path, ['--version'], { encoding: 'utf8' }).trim().replace(/^\S+ /, ''),
    command: (name) => [path, '-f', '--disable-drop-privileges', name],
    environment: QUIET,
  };
}

export function meshtun(): Implementation {
  const { version } = JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8')) as {
    version: string;
  };
  return {
    name: 'meshtun',
    version,
    command: (name) => [`${ROOT}/bin/meshtun`, '-f', name],
    environment: QUIET,
  };
}

/** One that a command line names: NAME=PATH. */
export function further(text: string): Implementation {
  const [name, path] = text.split('=');
  if (!name || !path) throw new Error(`--also ${text} is not NAME=PATH`);
  return { name, version: path, command: (link) => [path, '-f', link], environment: QUIET };
}

/** Ours, the official one, and boringtun; `skipped` says why what is not among them is not. */
export function implementations(): {
  readonly meshtun: Implementation;
  readonly wireguardGo: Implementation;
  readonly boringtun: Implementation | undefined;
  readonly skipped: string[];
} {
  const skipped: string[] = [];
  let third: Implementation | undefined;
  try {
    third = boringtun();
  } catch (error) {
    skipped.push(`boringtun: ${(error as Error).message.split('\n')[0]}`);
  }
  return { meshtun: meshtun(), wireguardGo: wireguardGo(), boringtun: third, skipped };
}
