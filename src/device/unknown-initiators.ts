import { keyId } from './peer-table.ts';

/** Own tuning: how many are remembered, and for how long (ms). */
const MAX_REMEMBERED = 1024;
export const UNKNOWN_INITIATOR_TIME = 10_000;

/** Who tried to initiate while it was not (yet) configured: it need not wait once it is. */
export class UnknownInitiators {
  /** Key id -> when, the oldest first. */
  private readonly seen = new Map<string, number>();

  get size(): number {
    return this.seen.size;
  }

  remember(publicKey: Uint8Array, now: number): void {
    const id = keyId(publicKey);
    this.seen.delete(id);
    this.seen.set(id, now);
    if (this.seen.size > MAX_REMEMBERED) this.seen.delete(this.seen.keys().next().value!);
  }

  /** True, once, if this key tried in the last seconds. */
  forget(publicKey: Uint8Array, now: number): boolean {
    const id = keyId(publicKey);
    const at = this.seen.get(id);
    this.seen.delete(id);
    return at !== undefined && now - at < UNKNOWN_INITIATOR_TIME;
  }
}
