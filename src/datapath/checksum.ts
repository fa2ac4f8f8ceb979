/**
 * The Internet checksum (RFC 1071) and copying, over ranges of the shared memory.
 *
 * A sum here is the one's-complement sum of the range's 16-bit words read as LITTLE-endian numbers
 * (a last odd byte counts as a low byte), folded to 0..0xffff. RFC 1071 section 2 (B): the sum does
 * not depend on the byte order as long as the result is stored in the same order, so fields are
 * written with `setUint16(offset, ~sum & 0xffff, true)` and numbers in network order go in swapped.
 * Ranges may start at odd offsets. 0 and 0xffff are both zero.
 */
export interface MemoryKernel {
  readonly name: string;
  /** Adds the sum of `length` bytes (at most 64 KB) at `offset` to `initial` (0..0xffff). */
  sum(offset: number, length: number, initial: number): number;
  /** Copies; the ranges must not overlap. Up to SLACK bytes behind the destination may be clobbered. */
  copy(destination: number, source: number, length: number): void;
  /** Copies as `copy` and returns the sum as `sum` of what was copied. */
  copySum(destination: number, source: number, length: number, initial: number): number;
}

/** Creates an implementation that works on `memory`. */
export type MemoryKernelFactory = (memory: WebAssembly.Memory) => MemoryKernel;

/** Folds a sum of up to 2^32 - 1 to 16 bits (end-around carry). */
export function fold(sum: number): number {
  let folded = (sum & 0xffff) + (sum >>> 16);
  folded = (folded & 0xffff) + (folded >>> 16);
  return folded;
}

/** Byte-swaps a 16-bit number: a length or protocol number as it counts in a little-endian sum. */
export function swap16(value: number): number {
  return ((value & 0xff) << 8) | ((value >>> 8) & 0xff);
}

/** Plain implementation: correct everywhere, fast enough for userspace mode. */
export const javascriptKernel: MemoryKernelFactory = (memory) => {
  const u8 = new Uint8Array(memory.buffer);
  const view = new DataView(memory.buffer);

  function sum(offset: number, length: number, initial: number): number {
    // Two sums below 2^31 each for up to 64 KB: small integers throughout, folded once.
    let low = initial;
    let high = 0;
    let at = offset;
    const wordsEnd = offset + (length & ~3);
    for (; at < wordsEnd; at += 4) {
      const word = view.getInt32(at, true);
      low += word & 0xffff;
      high += word >>> 16;
    }
    if (length & 2) {
      low += view.getUint16(at, true);
      at += 2;
    }
    if (length & 1) low += u8[at]!;
    return fold(fold(low) + fold(high));
  }

  function copy(destination: number, source: number, length: number): void {
    u8.copyWithin(destination, source, source + length);
  }

  return {
    name: 'javascript',
    sum,
    copy,
    copySum(destination, source, length, initial) {
      copy(destination, source, length);
      return sum(destination, length, initial);
    },
  };
};
