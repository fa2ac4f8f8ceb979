import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { Summary } from '../../src/demo/model.ts';

const root = resolve(import.meta.dirname, '../..');

/** An event line of `npm run mesh -- --json`. */
export type DemoEvent = Readonly<Record<string, unknown>> & { readonly event: string };

/** A demo run under test. */
export class DemoRun {
  readonly events: DemoEvent[] = [];
  readonly process: ChildProcess;
  stderr = '';
  /** Exit code, once it has ended and all output is read. */
  readonly ended: Promise<number | null>;
  private readonly watchers = new Set<() => void>();

  constructor(parameters: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    // As the README says it; in a group of its own, as a shell would start it.
    this.process = spawn('npm', ['run', '-s', 'mesh', '--', '--json', ...parameters], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      env: { ...process.env, ...environment },
    });
    this.process.stderr!.setEncoding('utf8').on('data', (chunk: string) => {
      this.stderr += chunk;
    });
    createInterface({ input: this.process.stdout! }).on('line', (line) => {
      this.events.push(JSON.parse(line) as DemoEvent);
      for (const watcher of this.watchers) watcher();
    });
    this.ended = new Promise((done) => this.process.on('close', (code) => done(code)));
  }

  get summary(): Summary {
    return this.events.at(-1) as unknown as Summary;
  }

  /** The first event that fits, also of those already seen. */
  async event(fits: (event: DemoEvent) => boolean, timeoutMs = 30_000): Promise<DemoEvent> {
    const deadline = AbortSignal.timeout(timeoutMs);
    return new Promise((found, reject) => {
      const look = () => {
        const event = this.events.find(fits);
        if (!event) return;
        this.watchers.delete(look);
        found(event);
      };
      this.watchers.add(look);
      deadline.addEventListener('abort', () => reject(new Error(`no such event: ${this.stderr}`)));
      void this.ended.then(() => reject(new Error(`it ended before: ${this.stderr}`)));
      look();
    });
  }

  /** Process id of the demo itself, under npm and its shell. */
  async pid(): Promise<number> {
    return (await this.event(({ event }) => event === 'begin')).pid as number;
  }

  /** Processes of its parts, by the name of the part. */
  async parts(): Promise<Map<string, number>> {
    const text = execFileSync('ps', ['-o', 'pid=,args=', '--ppid', String(await this.pid())], {
      encoding: 'utf8',
    });
    const parts = new Map<string, number>();
    for (const line of text.split('\n')) {
      const match = /^\s*(\d+) .*meshnet\.ts (?:(controller)|node .*--name (\S+))/.exec(line);
      if (match) parts.set(match[2] ?? match[3]!, Number(match[1]));
    }
    return parts;
  }

  kill(signal: NodeJS.Signals): void {
    process.kill(-this.process.pid!, signal);
  }
}

/** What a demo of this process id has left on the machine. */
export function leftovers(pid: number): string[] {
  const namespaces = safely(() => readdirSync('/run/netns')).filter((name) =>
    name.startsWith(`meshnet-${pid}-`),
  );
  const processes = execFileSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes(directoryOf(pid)) || line.includes(`meshnet-${pid}-`));
  const directories = readdirSync(tmpdir()).filter((name) => name === directoryOf(pid));
  return [...namespaces, ...processes, ...directories];
}

function directoryOf(pid: number): string {
  return `meshnet-demo-${pid}`;
}

function safely(read: () => string[]): string[] {
  try {
    return read();
  } catch {
    return [];
  }
}

/** Echoes answered between two nodes, both ways, in the records of one epoch or in all. */
export function answered(
  packets: Summary['packets'],
  one: string,
  other: string,
): readonly [number, number] {
  return [packets[`${one}>${other}`]?.received ?? 0, packets[`${other}>${one}`]?.received ?? 0];
}
