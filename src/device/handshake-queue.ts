import type { Endpoint } from '../wire/endpoint.ts';

/** As the official implementations: 1024 messages, under load from an eighth of that, for 1 s. */
export const HANDSHAKE_QUEUE_LENGTH = 1024;
const UNDER_LOAD_QUEUE_LENGTH = HANDSHAKE_QUEUE_LENGTH / 8;
const UNDER_LOAD_AFTER_TIME = 1000;

export interface QueuedHandshake {
  readonly message: Uint8Array;
  readonly source: Endpoint;
}

/** Handshake messages wait here, bounded, for the control thread. */
export class HandshakeQueue {
  private waiting: QueuedHandshake[] = [];
  /** What lies before it has been taken. */
  private head = 0;
  private underLoadUntil = Number.NEGATIVE_INFINITY;

  /** False if there is no room. */
  push(handshake: QueuedHandshake): boolean {
    if (this.length >= HANDSHAKE_QUEUE_LENGTH) return false;
    this.waiting.push(handshake);
    return true;
  }

  shift(): QueuedHandshake | undefined {
    if (this.length === 0) return undefined;
    const handshake = this.waiting[this.head++];
    // In a flood the queue is never empty: what was taken must go nonetheless.
    if (this.head === this.waiting.length || this.head >= HANDSHAKE_QUEUE_LENGTH) {
      this.waiting = this.waiting.slice(this.head);
      this.head = 0;
    }
    return handshake;
  }

  clear(): void {
    this.waiting = [];
    this.head = 0;
  }

  get length(): number {
    return this.waiting.length - this.head;
  }

  /** Sticky, so that a flood cannot get a message through each time the queue is drained. */
  isUnderLoad(now: number): boolean {
    if (this.length >= UNDER_LOAD_QUEUE_LENGTH) this.underLoadUntil = now + UNDER_LOAD_AFTER_TIME;
    return now < this.underLoadUntil;
  }
}
