import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ended, type Namespace } from '../lab/netns.ts';

/** What a tool prints, a JSON value per line: first `{"ready":true}`, at its end its result. */
export interface Tool {
  /** Resolves with the tool's last line. `finish` first, for one that runs until it is told. */
  result<T>(): Promise<T>;
  finish(): void;
  readonly child: ChildProcess;
}

/** Starts tools/<name>.ts in a namespace; resolves when it is ready. */
export function start(namespace: Namespace, name: string, args: string[]): Promise<Tool> {
  const script = join(import.meta.dirname, 'tools', `${name}.ts`);
  const child = namespace.spawn([process.execPath, script, ...args]);
  const lines: string[] = [];
  let errors = '';
  child.stderr?.on('data', (data) => {
    errors += data;
  });
  const done = ended(child);
  return new Promise((resolve, reject) => {
    createInterface({ input: child.stdout! }).on('line', (line) => {
      lines.push(line);
      resolve({
        child,
        finish: () => void child.kill('SIGTERM'),
        async result<T>() {
          const { code } = await done;
          if (code !== 0) throw new Error(`${name} ${args.join(' ')}: exit ${code}: ${errors}`);
          return JSON.parse(lines.at(-1)!) as T;
        },
      });
    });
    void done.then(() => reject(new Error(`${name} ${args.join(' ')} ended: ${errors}`)));
  });
}

export interface Transfer {
  readonly bytes: number;
  readonly sha256: string;
  readonly seconds: number;
}

/** What a receiver of numbered datagrams saw. */
export interface Count {
  readonly received: number;
  readonly distinct: number;
}
