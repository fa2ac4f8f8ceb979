import { extname } from 'node:path';
import { isMainThread, Worker } from 'node:worker_threads';
import { O_CLOEXEC, O_NONBLOCK } from './constants.ts';
import { must } from './errno.ts';
import { MAX_WATCHED, SLOT_STATE, type WatchReport, WORD, WORDS } from './readable-slots.ts';
import { syscalls, unsupported } from './syscalls.ts';

/**
 * Tells this thread when descriptors become readable. Node has no way to wait for one that it has not
 * made itself, so one small thread waits for all of them.
 */

export interface ReadableWatch {
  /** Waits for the descriptor again; until then nothing is said of it. */
  arm(): void;
  /** Resolves when the thread holds the descriptor no more: before that it is not really closed. */
  close(): Promise<void>;
}

/** Why descriptors cannot be watched here, or undefined if they can. */
export function cannotWatch(): string | undefined {
  // A thread that waits in poll ends when it is told to, and a worker's children are not told.
  if (!isMainThread) return 'needs the main thread';
  return unsupported();
}

interface Watched {
  readonly onReadable: () => void;
  released: (() => void) | undefined;
}

class Watcher {
  private readonly words = new Int32Array(new SharedArrayBuffer(WORDS * 4));
  private readonly watched: (Watched | undefined)[] = [];
  private readonly wakeFd = must(syscalls().eventfd(0, O_NONBLOCK | O_CLOEXEC), 'eventfd');
  private readonly worker: Worker;
  /** Resolves when the thread waits. */
  readonly started: Promise<void>;
  private count = 0;

  constructor() {
    const url = new URL(`./readable-thread${extname(import.meta.url)}`, import.meta.url);
    this.worker = new Worker(url, {
      workerData: { shared: this.words.buffer, wakeFd: this.wakeFd },
      name: 'readable-thread',
      execArgv: [],
    });
    this.started = new Promise((resolve, reject) => {
      this.worker.once('message', () => resolve()); // the first one says that it waits
      this.worker.once('error', reject);
    });
    this.worker.on('message', (report: WatchReport) => this.reported(report));
    void this.started.then(() => {
      if (this.count === 0) this.worker.unref();
    });
    // The process waits for its threads, and a thread in poll for this.
    process.on('exit', () => {
      Atomics.store(this.words, WORD.stop, 1);
      this.wake();
    });
  }

  watch(fd: number, onReadable: () => void): ReadableWatch {
    const slot = this.freeSlot();
    const { words } = this;
    this.watched[slot] = { onReadable, released: undefined };
    words[WORD.fds + slot] = fd;
    if (this.count++ === 0) this.worker.ref();
    const arm = () => {
      Atomics.store(words, WORD.states + slot, SLOT_STATE.armed);
      this.wake();
    };
    arm();
    return { arm, close: () => this.release(slot) };
  }

  private freeSlot(): number {
    const free = this.watched.indexOf(undefined);
    if (free >= 0) return free;
    const slot = this.watched.length;
    if (slot === MAX_WATCHED) throw new Error(`more than ${MAX_WATCHED} sockets in one process`);
    Atomics.store(this.words, WORD.used, slot + 1);
    return slot;
  }

  private release(slot: number): Promise<void> {
    return new Promise((resolve) => {
      const watched = this.watched[slot]!;
      watched.released = resolve;
      Atomics.store(this.words, WORD.states + slot, SLOT_STATE.releasing);
      this.wake();
    });
  }

  private wake(): void {
    syscalls().eventfdWrite(this.wakeFd, 1n);
  }

  private reported(report: WatchReport): void {
    if ('ready' in report) {
      for (const slot of report.ready) {
        const watched = this.watched[slot];
        if (watched !== undefined && watched.released === undefined) watched.onReadable();
      }
      return;
    }
    for (const slot of report.released) {
      const watched = this.watched[slot]!;
      this.watched[slot] = undefined;
      if (--this.count === 0) this.worker.unref();
      watched.released!();
    }
  }
}

let watcher: Watcher | undefined;

/** Resolves when descriptors can be watched. Throws where {@link cannotWatch}. */
export async function startWatching(): Promise<void> {
  watcher ??= new Watcher();
  await watcher.started;
}

/**
 * Calls `onReadable` once `fd` can be read, and again each time after it was armed anew. After
 * {@link startWatching}.
 */
export function watchReadable(fd: number, onReadable: () => void): ReadableWatch {
  if (watcher === undefined) throw new Error('watching has not been started');
  return watcher.watch(fd, onReadable);
}
