import { REKEY_TIMEOUT } from './limits.ts';

/** One set of transport keys as control sees it; the keys themselves are in the data path's slot. */
export interface Keypair {
  /** Slot in the data path. */
  readonly slot: number;
  readonly localIndex: number;
  /** Generation (epoch) of the pre-shared key that was mixed into it. */
  readonly generation: number;
  readonly isInitiator: boolean;
  /** ms: when the initiation was sent (initiator) or received (responder). */
  readonly startedAt: number;
  /** ms: when the keys were derived. */
  readonly createdAt: number;
  /** ms: from here on nothing is sent or accepted on it. */
  rejectAt: number;
  /** ms: first authenticated packet received on it, undefined before. */
  confirmedAt: number | undefined;
}

/** Receive-only keypairs kept per peer; they cost a slot and an index each. */
export const MAX_RECEIVE_ONLY = 8;
/** Of these, how many the peer was heard on last, and how many newest unconfirmed ones, are safe. */
const KEPT_OF_EACH = 2;

/**
 * A peer's keypairs. One is sent on; all are received on until they expire.
 *
 * The paper's `next` (a responder's keypair before its first packet) is any unconfirmed entry of
 * `receiveOnly` here. Unlike the official rule it displaces nothing: with frequent rotations a
 * half-finished handshake of the old epoch would otherwise delete a keypair that is in use.
 */
export class Keypairs {
  sending: Keypair | undefined;
  /** Oldest first. */
  receiveOnly: Keypair[] = [];

  /** True if this side's static public key is bytewise smaller than the peer's. */
  isSmaller = false;

  /** Every live keypair. */
  all(): Keypair[] {
    return this.sending === undefined ? this.receiveOnly : [...this.receiveOnly, this.sending];
  }

  get count(): number {
    return this.receiveOnly.length + (this.sending === undefined ? 0 : 1);
  }

  /** When the first one of them expires, Infinity if there is none. */
  firstRejectAt(): number {
    let first = this.sending?.rejectAt ?? Number.POSITIVE_INFINITY;
    for (const { rejectAt } of this.receiveOnly) first = Math.min(first, rejectAt);
    return first;
  }

  /** Newest generation that the peer was heard on, so that both sides have it. */
  get confirmedGeneration(): number | undefined {
    let newest: number | undefined;
    for (const { confirmedAt, generation } of this.all()) {
      if (confirmedAt !== undefined) newest = Math.max(newest ?? 0, generation);
    }
    return newest;
  }

  /** Adds a keypair that is not sent on yet. Returns the ones that had to make room. */
  add(keypair: Keypair): Keypair[] {
    this.receiveOnly.push(keypair);
    const dropped: Keypair[] = [];
    while (this.receiveOnly.length > MAX_RECEIVE_ONLY) {
      const victim = this.leastUseful(keypair);
      this.receiveOnly.splice(this.receiveOnly.indexOf(victim), 1);
      dropped.push(victim);
    }
    return dropped;
  }

  /**
   * Sends on `keypair` from now on, if it should be preferred to the present one. Called when an
   * initiator has derived it, and when the first packet on a keypair has come in.
   */
  promote(keypair: Keypair, because: 'derived' | 'received'): boolean {
    if (!this.wouldPromote(keypair, because)) return false;
    this.receiveOnly.splice(this.receiveOnly.indexOf(keypair), 1);
    if (this.sending !== undefined) this.receiveOnly.push(this.sending);
    this.sending = keypair;
    return true;
  }

  wouldPromote(keypair: Keypair, because: 'derived' | 'received'): boolean {
    return this.receiveOnly.includes(keypair) && this.prefers(keypair, because);
  }

  /** The peer's initiation was answered while `initiated`, of the same generation, was under way. */
  hasCrossed(initiated: Keypair): boolean {
    return this.all().some(
      (other) =>
        !other.isInitiator &&
        other.generation === initiated.generation &&
        crossed(initiated, other),
    );
  }

  /** Takes out every keypair that `matches`. Returns them. */
  remove(matches: (keypair: Keypair) => boolean): Keypair[] {
    const removed = this.receiveOnly.filter(matches);
    this.receiveOnly = this.receiveOnly.filter((k) => !matches(k));
    if (this.sending !== undefined && matches(this.sending)) {
      removed.push(this.sending);
      this.sending = undefined;
    }
    return removed;
  }

  /**
   * The oldest but `added`, and but what the peer may well send on: what it was heard on last, and
   * what it may be about to use. A peer that is an epoch ahead and whose every attempt comes to
   * nothing leaves many unconfirmed ones here while it goes on with the old one.
   */
  private leastUseful(added: Keypair): Keypair {
    const others = this.receiveOnly.filter((k) => k !== added);
    const confirmed = others
      .filter((k) => k.confirmedAt !== undefined)
      .sort((a, b) => a.confirmedAt! - b.confirmedAt!);
    const unconfirmed = others.filter((k) => k.confirmedAt === undefined).sort(byAge);
    const kept = [...confirmed.slice(-KEPT_OF_EACH), ...unconfirmed.slice(-KEPT_OF_EACH)];
    return others.filter((k) => !kept.includes(k)).sort(byAge)[0]!;
  }

  /**
   * Within a generation the newest. After crossing handshakes the two sides may see two different
   * ones as the newest; so that they settle on one, and exactly one of them goes on to renew it,
   * the side with the smaller key keeps to its own view and the other one follows it: it takes up
   * whatever the smaller side begins to send on.
   */
  private prefers(candidate: Keypair, because: 'derived' | 'received'): boolean {
    const present = this.sending;
    if (present === undefined) return true;
    // A keypair of an older generation never replaces a newer one for sending.
    if (candidate.generation !== present.generation) {
      return candidate.generation > present.generation;
    }
    const age = candidate.createdAt - present.createdAt;
    const isMixed = candidate.isInitiator !== present.isInitiator;
    if (!isMixed) return age >= 0;
    if (this.isSmaller || Math.abs(age) >= REKEY_TIMEOUT) {
      return age > 0 || (age === 0 && candidate.isInitiator);
    }
    if (because === 'received') return true;
    return !(crossed(candidate, present) && present.confirmedAt !== undefined);
  }
}

/** Oldest first. */
function byAge(a: Keypair, b: Keypair): number {
  return a.generation - b.generation || a.createdAt - b.createdAt;
}

/** True if the one was initiated here and, before its response came, the other was answered. */
function crossed(initiated: Keypair, responded: Keypair): boolean {
  return responded.createdAt >= initiated.startedAt && responded.createdAt <= initiated.createdAt;
}
