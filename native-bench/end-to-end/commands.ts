import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';

/** Runs a short command to its end; its standard output. Throws with what it said if it fails. */
export function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** As `run`, without blocking; killed after `timeout` ms. */
export function runLong(timeout: number, command: string, ...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = {
      encoding: 'utf8',
      timeout,
      killSignal: 'SIGKILL',
      maxBuffer: 64 << 20,
    } as const;
    execFile(command, args, options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${command} ${args.join(' ')}: ${stderr || stdout || error.message}`));
    });
  });
}

const running = new Set<ChildProcess>();

/** Starts a process that ends with this one at the latest. */
export function start(
  command: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): ChildProcess {
  const [file, ...args] = command;
  const child = spawn(file!, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...environment },
  });
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

/** Ends a process that `start` started; resolves when it is gone. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const force = setTimeout(() => child.kill('SIGKILL'), 3000);
  await gone;
  clearTimeout(force);
}

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms));
