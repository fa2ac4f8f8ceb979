import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** What the programs of a proof say and hear: one JSON value per line. */
export type Message = Readonly<Record<string, unknown>>;

/** In a part: prints a message. */
export function say(message: Message): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

/** In a part: calls `hear` for each message, and `end` when the parent is gone. */
export function listen(hear: (message: Message) => void, end: () => void): void {
  const input = createInterface({ input: process.stdin });
  input.on('line', (line) => hear(JSON.parse(line) as Message));
  input.on('close', end);
}

/** In a part: the options it was started with. */
export function partOptions<T>(): T {
  return JSON.parse(process.argv[2]!) as T;
}

const TIMEOUT_MS = 30_000;
const STOP_MS = 5000;
const KEPT_STDERR = 4096;

/** Command line of a program of this folder on the Node that runs this one. */
export function program(file: string, options: object): [string, ...string[]] {
  return [
    process.execPath,
    '--disable-warning=ExperimentalWarning',
    `${import.meta.dirname}/${file}`,
    JSON.stringify(options),
  ];
}

interface Waiting {
  readonly matches: (message: Message) => boolean;
  readonly resolve: (message: Message) => void;
  readonly reject: (error: Error) => void;
}

/**
 * A program that was started for a proof. It ends when its standard input does, so it cannot
 * outlive us however we end.
 */
export class Part {
  readonly name: string;
  /** Everything it said. */
  readonly messages: Message[] = [];
  /** Called for each thing that it says. */
  onMessage: (message: Message) => void = () => {};
  /** Settles when it has ended: why, if it was not asked to. */
  readonly ended: Promise<string | undefined>;
  private readonly process: ChildProcess;
  private waiting: Waiting[] = [];
  private stopping = false;
  private stderr = '';
  private nextId = 1;

  constructor(
    name: string,
    command: readonly [string, ...string[]],
    environment: Readonly<Record<string, string>> = {},
  ) {
    this.name = name;
    const [file, ...parameters] = command;
    this.process = spawn(file, parameters, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...environment },
      detached: true, // Ctrl-C reaches us, and we stop our parts in order
    });
    this.process.stdin?.on('error', () => {}); // it ended first
    this.process.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      this.stderr = (this.stderr + chunk).slice(-KEPT_STDERR);
    });
    createInterface({ input: this.process.stdout! }).on('line', (line) => this.heard(line));
    this.ended = new Promise((resolve) => {
      const over = (why: string | undefined) => {
        for (const { reject } of this.waiting) reject(new Error(why ?? `${name} has ended`));
        this.waiting = [];
        resolve(why);
      };
      this.process.on('error', (error) => over(`${name}: ${error.message}`));
      this.process.on('close', (code, signal) => {
        if (this.stopping) return over(undefined);
        const said = this.stderr.trim();
        over(`${name} ended with ${signal ?? `status ${code}`}${said && `: ${said}`}`);
      });
    });
  }

  get pid(): number {
    return this.process.pid!;
  }

  tell(message: Message): void {
    this.process.stdin?.write(`${JSON.stringify(message)}\n`);
  }

  /** The next message that has all of `fields`, from now on. */
  next(fields: Message, timeoutMs = TIMEOUT_MS): Promise<Message> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiting = this.waiting.filter((other) => other !== entry);
        const what = JSON.stringify(fields);
        reject(new Error(`${this.name} did not say ${what} in ${timeoutMs} ms: ${this.stderr}`));
      }, timeoutMs);
      const entry: Waiting = {
        matches: has(fields),
        resolve: (message) => {
          clearTimeout(timer);
          resolve(message);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      };
      this.waiting.push(entry);
    });
  }

  /** As `next`, but also if it was said before. */
  async said(fields: Message, timeoutMs = TIMEOUT_MS): Promise<Message> {
    return this.messages.find(has(fields)) ?? this.next(fields, timeoutMs);
  }

  /** Asks something and waits for the answer, which carries the same `id`. */
  async ask(message: Message, timeoutMs = TIMEOUT_MS): Promise<Message> {
    const id = this.nextId++;
    const answer = this.next({ id }, timeoutMs);
    this.tell({ ...message, id });
    return answer;
  }

  /** Ends it as no program can prevent. */
  async kill(): Promise<void> {
    this.stopping = true;
    this.process.kill('SIGKILL');
    await this.ended;
  }

  async stop(): Promise<void> {
    this.stopping = true;
    this.process.stdin?.end();
    const timer = setTimeout(() => this.process.kill('SIGKILL'), STOP_MS);
    await this.ended;
    clearTimeout(timer);
  }

  private heard(line: string): void {
    const message = JSON.parse(line) as Message;
    this.messages.push(message);
    this.onMessage(message);
    const woken = this.waiting.filter((entry) => entry.matches(message));
    this.waiting = this.waiting.filter((entry) => !woken.includes(entry));
    for (const { resolve } of woken) resolve(message);
  }
}

function has(fields: Message): (message: Message) => boolean {
  const wanted = Object.entries(fields);
  return (message) => wanted.every(([key, value]) => message[key] === value);
}
