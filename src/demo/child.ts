import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface ChildOptions {
  readonly name: string;
  /** Program and arguments. */
  readonly command: readonly [string, ...string[]];
  readonly environment: Readonly<Record<string, string>>;
  /** Each line of standard output. */
  readonly onLine: (line: string) => void;
}

const KEPT_STDERR = 4096;

/**
 * A part of the demo: a process that stops when its standard input ends, so that it cannot outlive
 * this one however this one dies. In a session of its own, so that Ctrl-C reaches only us.
 */
export class Child {
  readonly name: string;
  /** Settles when it has ended: why, if it was not asked to. */
  readonly ended: Promise<string | undefined>;
  private readonly process: ChildProcess;
  private stderr = '';
  private stopping = false;

  constructor(options: ChildOptions) {
    this.name = options.name;
    const [program, ...parameters] = options.command;
    this.process = spawn(program, parameters, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...options.environment },
      detached: true,
    });
    this.process.stdin?.on('error', () => {}); // it ended first
    this.process.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      this.stderr = (this.stderr + chunk).slice(-KEPT_STDERR);
    });
    createInterface({ input: this.process.stdout! }).on('line', options.onLine);
    this.ended = new Promise((resolve) => {
      this.process.on('error', (error) => resolve(`${this.name}: ${error.message}`));
      this.process.on('close', (code, signal) => {
        if (this.stopping) return resolve(undefined);
        const said = this.stderr.trim();
        resolve(`${this.name} ended with ${signal ?? `status ${code}`}${said && `: ${said}`}`);
      });
    });
  }

  get pid(): number | undefined {
    return this.process.pid;
  }

  /** Asks it to stop, and ends it if it does not within `ms`. */
  async stop(ms: number): Promise<void> {
    this.stopping = true;
    this.process.stdin?.end();
    const timer = setTimeout(() => this.process.kill('SIGKILL'), ms);
    await this.ended;
    clearTimeout(timer);
  }
}
