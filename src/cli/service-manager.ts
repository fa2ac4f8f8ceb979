import type { AgentClock } from '../agent/clock.ts';
import { printable } from '../contract/printable.ts';
import { NotifySocket } from '../io/linux/notify-socket.ts';

/** A watchdog is fed this many times in its period, so that one late time is none too few. */
const PINGS = 3;
/** When a full queue is tried again, ms. */
const RETRY = 100;
const MAX_STATUS = 400;

/** What the service manager said to this process in its environment; see sd_notify(3). */
export interface ServiceEnvironment {
  /** NOTIFY_SOCKET: where it listens; without it, nobody is told anything. */
  readonly socket: string | undefined;
  /** ms from WATCHDOG_USEC; undefined: it does not watch. */
  readonly watchdogMs: number | undefined;
}

/** Takes the variables out of `environment`: what this process starts is not the service. */
export function takeServiceEnvironment(environment: NodeJS.ProcessEnv): ServiceEnvironment {
  const socket = environment.NOTIFY_SOCKET;
  const microseconds = Number(environment.WATCHDOG_USEC);
  const watched = environment.WATCHDOG_PID ?? String(process.pid);
  delete environment.NOTIFY_SOCKET;
  delete environment.WATCHDOG_USEC;
  delete environment.WATCHDOG_PID;
  const isWatched = microseconds > 0 && watched === String(process.pid);
  return { socket, watchdogMs: isWatched ? microseconds / 1000 : undefined };
}

/**
 * Tells the service manager (systemd, or whoever set NOTIFY_SOCKET) when the service is ready, what it
 * does, that it lives, and that it stops. Nothing waits for it, and a manager that is not there or
 * does not listen changes nothing but a line of `warn`.
 */
export class ServiceManager {
  private socket: NotifySocket | undefined;
  private readonly watchdogMs: number | undefined;
  private readonly warn: (message: string) => void;
  /** What could not be sent yet, the newest of each. */
  private readonly unsent = new Map<string, string>();
  private readonly clock: Pick<AgentClock, 'sleep'>;
  private readonly stopped = new AbortController();
  private readonly closed = new AbortController();
  private isReady = false;

  constructor(
    { socket, watchdogMs }: ServiceEnvironment,
    clock: Pick<AgentClock, 'sleep'>,
    warn: (message: string) => void,
  ) {
    this.watchdogMs = watchdogMs;
    this.clock = clock;
    this.warn = warn;
    if (socket === undefined) return;
    try {
      this.socket = new NotifySocket(socket);
    } catch (error) {
      this.giveUp(error);
    }
  }

  /** One line for people who ask how the service is. */
  status(text: string): void {
    const line = printable(text.slice(0, MAX_STATUS)).replace(/\s+/g, ' ');
    this.tell({ STATUS: line });
  }

  /**
   * The service does what it is there for. From here on the watchdog is fed each time that `responds`
   * has settled: a part that hangs ends that, and so does this thread if it stands still.
   */
  ready(responds: () => Promise<unknown>): void {
    if (this.isReady) return;
    this.isReady = true;
    this.tell({ READY: '1' });
    if (this.socket !== undefined && this.watchdogMs !== undefined) {
      void this.feed(responds, this.watchdogMs / PINGS);
    }
  }

  stopping(): void {
    this.stopped.abort();
    this.tell({ STOPPING: '1' });
  }

  /** Nothing is said any more. */
  close(): void {
    this.stopped.abort();
    this.closed.abort();
    this.socket?.close();
    this.socket = undefined;
  }

  private async feed(responds: () => Promise<unknown>, intervalMs: number): Promise<void> {
    const { signal } = this.stopped;
    while (!signal.aborted && this.socket !== undefined) {
      const doesRespond = await responds().then(
        () => true,
        () => false,
      );
      if (signal.aborted) return;
      if (doesRespond) this.tell({ WATCHDOG: '1' });
      await this.clock.sleep(intervalMs, signal);
    }
  }

  private tell(state: Readonly<Record<string, string>>): void {
    if (this.socket === undefined) return;
    const isRetried = this.unsent.size > 0;
    for (const [name, value] of Object.entries(state)) this.unsent.set(name, value);
    if (!this.sent() && !isRetried) void this.retry();
  }

  private async retry(): Promise<void> {
    do await this.clock.sleep(RETRY, this.closed.signal);
    while (this.unsent.size > 0 && !this.sent());
  }

  /** False: the queue is full. */
  private sent(): boolean {
    const text = [...this.unsent].map(([name, value]) => `${name}=${value}`).join('\n');
    try {
      if (this.socket?.send(text) === false) return false;
    } catch (error) {
      this.giveUp(error);
    }
    this.unsent.clear();
    return true;
  }

  private giveUp(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.warn(`NOTIFY_SOCKET: the service manager is not told anything: ${reason}`);
    this.close();
  }
}
