/**
 * ChaCha20-Poly1305 for transport data (WireGuard paper 5.4.6), in place on a linear memory.
 *
 * All offsets are bytes into the memory the implementation was created on. Nothing is allocated
 * per call. The 96-bit nonce is 4 zero bytes followed by the 64-bit little-endian counter, given
 * as two u32 halves because a JS number stops at 2^53. There is no associated data.
 */
export interface TransportAead {
  readonly name: string;
  /**
   * Encrypts `length` bytes at `source` to `destination` and writes the 16-byte tag behind them.
   * `destination` may equal `source`, or the two ranges must not overlap.
   * Up to 256 bytes behind the tag may be overwritten (see {@link SLACK}).
   */
  seal(
    key: number,
    counterLow: number,
    counterHigh: number,
    destination: number,
    source: number,
    length: number,
  ): void;
  /**
   * As `seal`, but the packet is whole only after the next call of any of these functions, or after
   * `sealEnd`: what is left to do of it goes along with the packet behind it. Until then its ciphertext
   * and the 16 bytes behind it are not touched.
   */
  readonly sealNext: TransportAead['seal'];
  /** Makes the last packet of `sealNext` whole. */
  sealEnd(): void;
  /**
   * Decrypts `length` ciphertext bytes (without the tag that follows them) at `source` to
   * `destination`. Returns false, compared in constant time, if the tag is wrong; the bytes at
   * `destination` are then garbage and must not be used. Overlap and slack as for `seal`.
   */
  open(...packet: Parameters<TransportAead['seal']>): boolean;
  /**
   * As `open`, and told which packet is probably opened next, with which key and counter (`nextLength`
   * 0: none): work for that one may be done along with this one. It need not be opened after all; but
   * before any key changes, `openEnd` is called.
   */
  openBefore(
    ...packets: [
      ...packet: Parameters<TransportAead['seal']>,
      nextKey: number,
      nextCounterLow: number,
      nextCounterHigh: number,
      nextLength: number,
    ]
  ): boolean;
  /** Forgets what was done for a next packet. */
  openEnd(): void;
}

/** Bytes behind the end of a sealed or opened range that an implementation may clobber. */
export const SLACK = 256;
export const TAG_LENGTH = 16;

/** Bytes of private working space that an implementation needs, 64-byte aligned. */
export const SCRATCH_LENGTH = 4096;

/**
 * Creates an implementation that works on `memory`. `scratch` is the offset of
 * {@link SCRATCH_LENGTH} bytes that belong to this instance alone (one instance per thread).
 */
export type TransportAeadFactory = (memory: WebAssembly.Memory, scratch: number) => TransportAead;
