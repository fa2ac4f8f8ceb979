import type { ChildProcess } from 'node:child_process';
import type { DeviceChange } from '../../../src/device/config.ts';
import { ended, type Namespace } from '../../lab/netns.ts';
import type { OpenOptions, Request, State } from './tunnel-process.ts';

const SCRIPT = new URL('./tunnel-process.ts', import.meta.url).pathname;

/** A tunnel in a process of its own, in a namespace. */
export class RemoteTunnel {
  /** Number that the descriptor given to the constructor has in the process. */
  static readonly GIVEN_DESCRIPTOR = 4;

  readonly process: ChildProcess;
  readonly exited: Promise<{ code: number | null; signal: string | null }>;
  /** Settles with what the tunnel's `closed` settles with: an error message, or undefined. */
  readonly closed: Promise<string | undefined>;
  stderr = '';
  private nextId = 1;

  constructor(namespace: Namespace, wrapper: readonly string[] = [], descriptor?: number) {
    this.process = namespace.spawn([...wrapper, process.execPath, SCRIPT], {
      stdio: ['ignore', 'inherit', 'pipe', 'ipc', descriptor ?? 'ignore'],
      serialization: 'advanced',
    });
    this.process.setMaxListeners(100);
    this.process.stderr?.on('data', (text) => {
      this.stderr += text;
    });
    this.exited = ended(this.process);
    this.closed = new Promise((resolve) => {
      this.process.on('message', (message: { closed?: string | null }) => {
        if ('closed' in message) resolve(message.closed ?? undefined);
      });
    });
  }

  /** `wrapper`: a command to start the process with, e.g. one that takes rights away. */
  static async open(
    namespace: Namespace,
    options: OpenOptions,
    wrapper?: readonly string[],
  ): Promise<RemoteTunnel> {
    const tunnel = new RemoteTunnel(namespace, wrapper);
    try {
      await tunnel.call('open', options);
    } catch (error) {
      tunnel.process.kill('SIGKILL');
      await tunnel.exited;
      throw error;
    }
    return tunnel;
  }

  async call(method: Request['method'], argument?: unknown): Promise<unknown> {
    const id = this.nextId++;
    const answer = new Promise((resolve, reject) => {
      const listener = (message: {
        id?: number;
        value?: unknown;
        error?: string;
        code?: string;
      }) => {
        if (message.id !== id) return;
        this.process.off('message', listener);
        if (message.error === undefined) resolve(message.value);
        else reject(Object.assign(new Error(message.error), { code: message.code }));
      };
      this.process.on('message', listener);
      void this.exited.then(() => reject(new Error(`process ended: ${this.stderr}`)));
    });
    this.process.send({ id, method, argument } satisfies Request);
    return answer;
  }

  async configure(change: DeviceChange): Promise<void> {
    await this.call('configure', change);
  }

  async state(): Promise<State> {
    return (await this.call('state')) as State;
  }

  /** Closes the tunnel and expects the process to end by itself. */
  async close(): Promise<void> {
    await this.call('close');
    await this.call('disconnect');
    await this.exited;
  }
}
