/** TAI64N label: 8-byte big-endian seconds (2^62 + TAI), 4-byte big-endian nanoseconds. */
export const TAI64N_LENGTH = 12;

/** 2^62 plus the 10 s that TAI was ahead of UTC in 1970, as everyone's WireGuard has it. */
const BASE = 0x400000000000000an;

/**
 * Label of a wall-clock time in whole nanoseconds since 1970. Like the official
 * implementations, the low 24 bits of the nanoseconds are cleared, so that the label does not
 * tell the sender's exact clock: about 16.8 ms of whitening.
 */
export function encodeTai64n(nanoseconds: bigint): Uint8Array {
  const label = new Uint8Array(TAI64N_LENGTH);
  const view = new DataView(label.buffer);
  view.setBigUint64(0, BASE + nanoseconds / 1_000_000_000n);
  view.setUint32(8, Number(nanoseconds % 1_000_000_000n) & ~TAI64N_WHITENING_MASK);
  return label;
}

const TAI64N_WHITENING_MASK = 0x00ffffff;
/** Smallest step that always yields a later label. */
export const TAI64N_STEP_NANOSECONDS = BigInt(TAI64N_WHITENING_MASK + 1);

/** Big-endian byte order is chronological order. */
export function isAfterTai64n(label: Uint8Array, other: Uint8Array): boolean {
  for (let i = 0; i < TAI64N_LENGTH; i++) {
    if (label[i]! !== other[i]!) return label[i]! > other[i]!;
  }
  return false;
}
