import type { CryptoProvider } from '../crypto/provider.ts';
import { type HandshakeMemory, newHandshakeMemory, Peer } from './peer.ts';
import { DeviceEpoch } from './preshared-key.ts';
import { Slots } from './slots.ts';

/** Own tuning: handshake times kept of peers that were removed; the oldest goes. */
const MAX_REMEMBERED = 16_384;

export const keyId = (publicKey: Uint8Array): string => publicKey.toHex();

/** The peers by public key and by data-path slot. */
export class PeerTable {
  readonly capacity: number;
  readonly epoch = new DeviceEpoch();
  private readonly byKey = new Map<string, Peer>();
  private readonly bySlot: (Peer | undefined)[] = [];
  private readonly slots: Slots;
  /** Kept so that initiations from before a removal cannot be replayed after readmission. */
  private readonly remembered = new Map<string, HandshakeMemory>();

  constructor(capacity: number) {
    this.capacity = capacity;
    this.slots = new Slots(capacity);
  }

  get size(): number {
    return this.byKey.size;
  }

  get free(): number {
    return this.slots.available;
  }

  get(publicKey: Uint8Array): Peer | undefined {
    return this.byKey.get(keyId(publicKey));
  }

  at(slot: number): Peer | undefined {
    return this.bySlot[slot];
  }

  all(): IterableIterator<Peer> {
    return this.byKey.values();
  }

  /** What is kept of a peer that was removed. */
  memoryOfRemoved(publicKey: Uint8Array): HandshakeMemory | undefined {
    return this.remembered.get(keyId(publicKey));
  }

  /** Undefined if every slot is taken. */
  add(crypto: CryptoProvider, publicKey: Uint8Array, random: () => number): Peer | undefined {
    const slot = this.slots.take();
    if (slot === undefined) return undefined;
    const id = keyId(publicKey);
    const memory = this.remembered.get(id) ?? newHandshakeMemory();
    this.remembered.delete(id);
    const peer = new Peer({ crypto, slot, publicKey, memory, epoch: this.epoch, random });
    this.byKey.set(id, peer);
    this.bySlot[slot] = peer;
    return peer;
  }

  /** The slot stays taken until `releaseSlot`. */
  delete(peer: Peer): void {
    const id = keyId(peer.publicKey);
    this.byKey.delete(id);
    this.bySlot[peer.slot] = undefined;
    peer.removed = true;
    this.remembered.set(id, peer.memory);
    if (this.remembered.size > MAX_REMEMBERED) {
      this.remembered.delete(this.remembered.keys().next().value!);
    }
  }

  releaseSlot(slot: number): void {
    this.slots.release(slot);
  }
}
