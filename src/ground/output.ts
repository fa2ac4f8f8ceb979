import { constants, fstatSync, openSync, write } from 'node:fs';
import { Socket } from 'node:net';

export interface OutputOptions {
  /** Most that waits for a reader, bytes; what comes beyond is dropped. Default 1 MiB. */
  readonly capacity?: number;
  /** A line that says how many were dropped; written as soon as there is room again. */
  readonly notice?: (dropped: number) => string;
  /** Called once if nobody reads any more (EPIPE). */
  readonly onGone?: () => void;
}

const CAPACITY = 1 << 20;
/** A descriptor that somebody made non-blocking is tried again after this, ms. */
const RETRY = 20;

/**
 * Lines for a terminal, a pipe or a file that never make the caller wait: a reader that has stopped, a
 * full disk or a hung one hold back this output and nothing else. One write at a time is under way, in
 * a thread of the pool; the rest queues, within bounds.
 */
export class Output {
  /** Lines that found no room, since the start. */
  dropped = 0;

  private readonly fd: number;
  private readonly capacity: number;
  private readonly notice: (dropped: number) => string;
  private readonly onGone: () => void;
  private readonly queue: Buffer[] = [];
  private queued = 0;
  private untold = 0;
  private isWriting = false;
  /** The write that was begun and has not returned; undefined: none. */
  private call: PromiseWithResolvers<void> | undefined;
  private isEnded = false;
  private isGone = false;
  private drained: (() => void)[] = [];

  constructor(fd: number, options: OutputOptions = {}) {
    this.fd = withoutWaiting(fd);
    this.capacity = options.capacity ?? CAPACITY;
    this.notice =
      options.notice ?? ((dropped) => `${dropped} lines were dropped: nobody read them\n`);
    this.onGone = options.onGone ?? (() => {});
  }

  /** `text` is whole lines, each with its newline. */
  write(text: string): void {
    if (this.isGone) return;
    if (this.queued + text.length > this.capacity) {
      this.dropped++;
      this.untold++;
      return;
    }
    if (this.untold > 0) {
      this.push(this.notice(this.untold));
      this.untold = 0;
    }
    this.push(text);
    this.next();
  }

  /** True once all is written; false if that is not so within `ms`. */
  async flush(ms: number): Promise<boolean> {
    if (!this.isWriting) return true;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.drained.push(() => resolve(true));
    const timer = setTimeout(() => resolve(false), ms);
    const done = await promise;
    clearTimeout(timer);
    return done;
  }

  /**
   * Begins no write any more. False if the one that is under way does not return within `ms`: a disk that
   * hangs holds a thread of the pool, and Node would wait for it at its end.
   */
  async end(ms: number): Promise<boolean> {
    this.isEnded = true;
    if (this.call === undefined) return true;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    void this.call.promise.then(() => resolve(true));
    const timer = setTimeout(() => resolve(false), ms);
    const returned = await promise;
    clearTimeout(timer);
    return returned;
  }

  private push(text: string): void {
    const bytes = Buffer.from(text);
    this.queue.push(bytes);
    this.queued += bytes.length;
  }

  private next(): void {
    if (this.isWriting || this.isEnded) return;
    const bytes = this.queue[0];
    if (bytes === undefined) {
      for (const tell of this.drained.splice(0)) tell();
      return;
    }
    this.isWriting = true;
    this.call = Promise.withResolvers();
    write(this.fd, bytes, (error, written) => {
      this.isWriting = false;
      this.call?.resolve();
      this.call = undefined;
      if (error === null) {
        this.queued -= written;
        if (written === bytes.length) this.queue.shift();
        else this.queue[0] = bytes.subarray(written);
        this.next();
      } else if (error.code === 'EAGAIN') {
        this.again();
      } else {
        this.failed(error);
      }
    });
  }

  private again(): void {
    this.isWriting = true;
    setTimeout(() => {
      this.isWriting = false;
      this.next();
    }, RETRY).unref();
  }

  /** What is queued cannot be written: it is given up, and counted. */
  private failed(error: NodeJS.ErrnoException): void {
    this.dropped += this.queue.length;
    this.untold += this.queue.length;
    this.queue.length = 0;
    this.queued = 0;
    if (error.code === 'EPIPE' || error.code === 'EBADF') {
      this.isGone = true;
      this.onGone();
    }
    this.next();
  }
}

/** Sockets that were made not to wait; one that is collected would close its descriptor. */
const held: Socket[] = [];

/**
 * A descriptor of the same terminal, pipe or socket that does not wait. Terminals and pipes are opened
 * anew, because the given one shares its mode with the programs around this one; a socket cannot be,
 * and is put into that mode itself. Files never wait for a reader.
 */
function withoutWaiting(fd: number): number {
  try {
    const stat = fstatSync(fd);
    if (stat.isSocket()) {
      held.push(new Socket({ fd, readable: false, writable: true }).unref());
      return fd;
    }
    if (!stat.isFIFO() && !stat.isCharacterDevice()) return fd;
    return openSync(
      `/proc/self/fd/${fd}`,
      constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY,
    );
  } catch {
    return fd; // no /proc, or another user's: a thread of the pool waits instead
  }
}
