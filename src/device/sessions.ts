import { zeroize } from '../crypto/bytes.ts';
import type { TransportKeys } from '../noise/protocol.ts';
import type { Keypair } from '../session/keypairs.ts';
import { REJECT_AFTER_TIME, REKEY_AFTER_TIME } from '../session/limits.ts';
import { type DataPlane, NO_KEYPAIR } from './data-plane.ts';
import type { Peer, PendingInitiation } from './peer.ts';
import type { ReceiverIndexes } from './receiver-indexes.ts';
import { afterCrossing } from './rotation.ts';
import { Slots } from './slots.ts';

/** What a receiver index stands for. */
export type IndexEntry = { readonly peer: Peer };

/** The confirming keepalive of a rotation is repeated until the peer answers on the new keypair. */
const CONFIRM_OFFSETS = [100, 300, 1000];
/** So often its answer is repeated: the initiator repeats because it has not heard the first one. */
const MAX_REPEATED_ANSWERS = CONFIRM_OFFSETS.length;

export interface SessionsOptions {
  readonly plane: DataPlane;
  readonly indexes: ReceiverIndexes<IndexEntry>;
  /** Keypair slots of the data path. */
  readonly capacity: number;
  /** ms that superseded keypairs are still received on. */
  readonly grace: number;
  /** What the peer has to wait for may have changed. */
  readonly touched: (peer: Peer) => void;
}

/** Moves keypairs between control's rules (session/keypairs) and the data path. */
export class Sessions {
  private readonly plane: DataPlane;
  private readonly indexes: ReceiverIndexes<IndexEntry>;
  private readonly slots: Slots;
  private readonly bySlot: ({ peer: Peer; keypair: Keypair } | undefined)[] = [];
  private readonly grace: number;

  private readonly touched: (peer: Peer) => void;

  constructor(options: SessionsOptions) {
    this.plane = options.plane;
    this.indexes = options.indexes;
    this.slots = new Slots(options.capacity);
    this.grace = options.grace;
    this.touched = options.touched;
  }

  get hasRoom(): boolean {
    return this.slots.available > 0;
  }

  /**
   * Installs derived keys for receiving; zeroes `keys`. `installed` is called once the data path
   * receives on them, unless the keypair was removed meanwhile. False if the table is full.
   */
  install(
    peer: Peer,
    keys: TransportKeys,
    session: {
      localIndex: number;
      remoteIndex: number;
      initiation: PendingInitiation | undefined;
      now: number;
    },
    installed: (keypair: Keypair) => void,
  ): boolean {
    const slot = this.slots.take();
    if (slot === undefined) {
      zeroize(keys.sendKey, keys.receiveKey);
      return false;
    }
    const { localIndex, remoteIndex, initiation, now } = session;
    const isInitiator = initiation !== undefined;
    const keypair: Keypair = {
      slot,
      localIndex,
      generation: peer.generation,
      isInitiator,
      startedAt: initiation?.sentAt ?? now,
      createdAt: now,
      rejectAt: now + REJECT_AFTER_TIME,
      confirmedAt: undefined,
    };
    this.bySlot[slot] = { peer, keypair };
    this.discard(peer.keypairs.add(keypair));
    peer.unsettled = undefined;
    peer.timers.sessionDerived(now);
    this.touched(peer);
    this.plane.installKeypair(
      {
        slot,
        peer: peer.slot,
        sendKey: keys.sendKey,
        receiveKey: keys.receiveKey,
        localIndex,
        remoteIndex,
        rejectAt: keypair.rejectAt,
        // Only the initiator renews by time, so that the two sides do not both do it (6.2).
        rekeyAt: isInitiator ? now + REKEY_AFTER_TIME : Number.POSITIVE_INFINITY,
        sendWhenHeard: !isInitiator && peer.keypairs.wouldPromote(keypair, 'received'),
      },
      () => {
        if (this.bySlot[slot]?.keypair === keypair) installed(keypair);
      },
    );
    zeroize(keys.sendKey, keys.receiveKey);
    return true;
  }

  /** The initiator's keypair is ready: send on it, which also confirms it to the responder. */
  initiatorReady(peer: Peer, keypair: Keypair, now: number): void {
    const { generation } = keypair;
    this.touched(peer);
    if (peer.crossedGeneration < generation && peer.keypairs.hasCrossed(keypair)) {
      peer.crossedGeneration = generation;
      peer.unsettled = { keypair, handshakeAt: afterCrossing(now, peer.keypairs.isSmaller) };
    }
    if (!peer.keypairs.promote(keypair, 'derived')) return;
    peer.renewalAsked = false;
    this.plane.sendOn(peer.slot, keypair.slot, true);
    peer.answersLeft = 0;
    peer.confirmAt = keypair.generation > 0 ? CONFIRM_OFFSETS.map((offset) => now + offset) : [];
  }

  /**
   * First authenticated packet on a keypair. Returns the peer if this completed a responder's
   * handshake.
   */
  confirmed(slot: number, now: number): { peer: Peer; keypair: Keypair } | undefined {
    const entry = this.bySlot[slot];
    if (entry === undefined || entry.keypair.confirmedAt !== undefined) return undefined;
    const { peer, keypair } = entry;
    keypair.confirmedAt = now;
    this.touched(peer);
    if (peer.unsettled?.keypair === keypair) peer.unsettled = undefined;
    if (peer.keypairs.sending === keypair) peer.confirmAt = [];
    else if (peer.keypairs.promote(keypair, 'received')) {
      peer.renewalAsked = false;
      // In a rotation the initiator waits for a first packet before it retires older keypairs.
      this.plane.sendOn(peer.slot, slot, keypair.generation > 0);
      peer.confirmAt = [];
      peer.answersLeft = keypair.generation > 0 ? MAX_REPEATED_ANSWERS : 0;
    } else if (peer.keypairs.sending !== undefined) {
      // The data path may have begun to send on it, but another one is preferred by now.
      this.plane.sendOn(peer.slot, peer.keypairs.sending.slot, false);
    }
    for (const older of peer.keypairs.all()) {
      if (older.generation < keypair.generation) {
        older.rejectAt = Math.min(older.rejectAt, now + this.grace);
      }
    }
    return entry;
  }

  /** Zeroes the peer's keypairs that `matches`, without waiting. */
  remove(peer: Peer, matches: (keypair: Keypair) => boolean, done?: () => void): void {
    const removed = peer.keypairs.remove(matches);
    if (removed.length > 0) this.touched(peer);
    if (removed.length > 0 && peer.keypairs.sending === undefined) {
      this.plane.sendOn(peer.slot, NO_KEYPAIR, false);
      peer.confirmAt = [];
    }
    this.discard(removed, done);
  }

  /** The data path drops a removed peer's keypairs by itself; this frees what control holds of them. */
  forget(peer: Peer): () => void {
    const keypairs = peer.keypairs.remove(() => true);
    for (const { slot, localIndex } of keypairs) {
      this.bySlot[slot] = undefined;
      this.indexes.delete(localIndex);
    }
    return () => {
      for (const { slot } of keypairs) this.slots.release(slot);
    };
  }

  private discard(keypairs: Keypair[], done?: () => void): void {
    let waiting = keypairs.length;
    if (waiting === 0) done?.();
    for (const { slot, localIndex } of keypairs) {
      this.bySlot[slot] = undefined;
      this.indexes.delete(localIndex);
      this.plane.removeKeypair(slot, () => {
        this.slots.release(slot);
        if (--waiting === 0) done?.();
      });
    }
  }
}
