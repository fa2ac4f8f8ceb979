import { isZero, zeroize } from '../crypto/bytes.ts';

/**
 * A pre-shared key (32 bytes), or what works it out: that is asked at most once, when a handshake needs the
 * key, and what it returns is zeroed after.
 */
export type PresharedKey = Uint8Array | (() => Uint8Array);

export function presharedKeyBytes(key: PresharedKey): Uint8Array {
  return typeof key === 'function' ? key() : key;
}

/** The pre-shared keys of an epoch. Of ten thousand peers few are talked to in it, so few are worked out. */
export interface EpochKeys {
  /** Number of the epoch, above 0. */
  readonly generation: number;
  /** 32 bytes, zeroed by whoever asks; undefined: this peer has none in it. */
  readonly presharedKeyOf: (publicKey: Uint8Array) => Uint8Array | undefined;
}

/** The epoch that a device is in. Beginning another one costs nothing for peers whose key nobody has needed. */
export class DeviceEpoch {
  private keys: EpochKeys | undefined;
  /** Those that hold something which the next epoch ends. */
  private readonly holders = new Set<KeptPresharedKey>();

  /** 0: none has begun. */
  get generation(): number {
    return this.keys?.generation ?? 0;
  }

  /** From here on no key of an earlier one is used, and none is kept. */
  begin(keys: EpochKeys): void {
    this.keys = keys;
    for (const holder of this.holders) holder.epochBegan();
  }

  keyOf(publicKey: Uint8Array): Uint8Array | undefined {
    return this.keys?.presharedKeyOf(publicKey);
  }

  hold(holder: KeptPresharedKey): void {
    this.holders.add(holder);
  }

  release(holder: KeptPresharedKey): void {
    this.holders.delete(holder);
  }
}

/**
 * The pre-shared key of one peer: one of its own, or that which the device's epoch has for it. What was
 * held before is zeroed by what is set now, and by the beginning of an epoch that is no older.
 */
export class KeptPresharedKey {
  private readonly publicKey: Uint8Array;
  private readonly epoch: DeviceEpoch;
  /** All zero: none, or not worked out yet. */
  private readonly bytes = new Uint8Array(32);
  private derive: (() => Uint8Array) | undefined;
  /** Generation that it was given with; 0: it has to do with no epoch. */
  private given = 0;
  private followsEpoch = false;

  constructor(publicKey: Uint8Array, epoch: DeviceEpoch) {
    this.publicKey = publicKey;
    this.epoch = epoch;
  }

  get generation(): number {
    return this.followsEpoch ? Math.max(this.given, this.epoch.generation) : this.given;
  }

  /** A key of its own, until an epoch of this generation or a later one begins. */
  set(key: PresharedKey, generation: number): void {
    this.zeroize();
    this.given = generation;
    if (typeof key === 'function') this.derive = key;
    else this.bytes.set(key);
    if (generation > 0) this.epoch.hold(this);
  }

  /** From here on the key is that of the device's epoch. */
  follow(generation: number): void {
    if (this.followsEpoch) return;
    this.zeroize();
    this.given = generation;
    this.followsEpoch = true;
  }

  /** For `DeviceEpoch`. */
  epochBegan(): void {
    if (!this.followsEpoch && this.given > this.epoch.generation) return;
    this.zeroize();
    this.followsEpoch = true;
  }

  get isSet(): boolean {
    return this.followsEpoch || this.derive !== undefined || !isZero(this.bytes);
  }

  /** A view; undefined if there is none, or if no handshake has needed it. */
  get known(): Uint8Array | undefined {
    return isZero(this.bytes) ? undefined : this.bytes;
  }

  /** For a handshake: a view, all zero if there is none. Undefined: the epoch has none for this peer. */
  use(): Uint8Array | undefined {
    if (this.derive === undefined && !(this.followsEpoch && isZero(this.bytes))) return this.bytes;
    const key = this.derive?.() ?? this.epoch.keyOf(this.publicKey);
    this.derive = undefined;
    if (key === undefined) return undefined;
    this.bytes.set(key);
    zeroize(key);
    if (this.generation > 0) this.epoch.hold(this);
    return this.bytes;
  }

  zeroize(): void {
    this.derive = undefined;
    this.followsEpoch = false;
    zeroize(this.bytes);
    this.epoch.release(this);
  }
}
