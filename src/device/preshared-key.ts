import { isZero, zeroize } from '../crypto/bytes.ts';

/**
 * A pre-shared key (32 bytes), or what works it out: that is asked at most once, when a handshake needs the
 * key, and what it returns is zeroed after. Of ten thousand peers few are talked to in an epoch.
 */
export type PresharedKey = Uint8Array | (() => Uint8Array);

export function presharedKeyBytes(key: PresharedKey): Uint8Array {
  return typeof key === 'function' ? key() : key;
}

/** The pre-shared key of one peer. What was set before is zeroed by what is set now. */
export class KeptPresharedKey {
  /** All zero: none, or not worked out yet. */
  private readonly bytes = new Uint8Array(32);
  private derive: (() => Uint8Array) | undefined;

  set(key: PresharedKey): void {
    this.zeroize();
    if (typeof key === 'function') this.derive = key;
    else this.bytes.set(key);
  }

  get isSet(): boolean {
    return this.derive !== undefined || !isZero(this.bytes);
  }

  /** A view; undefined if there is none, or if no handshake has needed it. */
  get known(): Uint8Array | undefined {
    return isZero(this.bytes) ? undefined : this.bytes;
  }

  /** For a handshake: a view, all zero if there is none. */
  use(): Uint8Array {
    const { derive } = this;
    if (derive !== undefined) {
      this.derive = undefined;
      const key = derive();
      this.bytes.set(key);
      zeroize(key);
    }
    return this.bytes;
  }

  zeroize(): void {
    this.derive = undefined;
    zeroize(this.bytes);
  }
}
