/**
 * A few words of shared memory beside the packet memory through which control gets a worker's
 * attention. A worker that waits is woken by its eventfd; one that is busy looks at its counter
 * between packets. Whoever raises something does it in this order: message, counter, eventfd.
 */
const STOP = 0;
const QUEUED_HANDSHAKES = 1;
const BATCHES = 2; // one counter per data thread from here on

/** Handshake messages that inbound workers took and control has not acted on, as many as wireguard-go queues. */
export const MAX_QUEUED_HANDSHAKES = 1024;

/** Room for the words of so many data threads. */
export function signalsBuffer(threads: number): SharedArrayBuffer {
  return new SharedArrayBuffer((BATCHES + threads) * 4);
}

export class Signals {
  readonly buffer: SharedArrayBuffer;
  private readonly words: Int32Array;

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.words = new Int32Array(buffer);
  }

  raiseStop(): void {
    Atomics.store(this.words, STOP, 1);
  }

  get stopped(): boolean {
    return Atomics.load(this.words, STOP) !== 0;
  }

  /** Control: a batch was posted to this thread. */
  countBatch(thread: number): void {
    Atomics.add(this.words, BATCHES + thread, 1);
  }

  /** Worker: changes whenever a batch was posted. */
  batches(thread: number): number {
    return Atomics.load(this.words, BATCHES + thread);
  }

  /** Inbound: takes a place in the queue to control. False if there is none. */
  takeHandshakePlace(): boolean {
    if (Atomics.add(this.words, QUEUED_HANDSHAKES, 1) < MAX_QUEUED_HANDSHAKES) return true;
    Atomics.sub(this.words, QUEUED_HANDSHAKES, 1);
    return false;
  }

  /** Control: so many handshake messages were acted on, or dropped. */
  releaseHandshakePlaces(count: number): void {
    Atomics.sub(this.words, QUEUED_HANDSHAKES, count);
  }

  /** Whether so many wait that the rest is shared out. */
  get isQueueHalfFull(): boolean {
    return Atomics.load(this.words, QUEUED_HANDSHAKES) >= MAX_QUEUED_HANDSHAKES / 2;
  }
}
