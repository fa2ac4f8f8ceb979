/** Transport data, paper 5.4.6. Offsets in bytes; integers little-endian. */
export const TRANSPORT_DATA = {
  type: 0,
  receiver: 4,
  /** u64, handled as two u32 halves: a JS number stops at 2^53. */
  counterLow: 8,
  counterHigh: 12,
  encryptedPacket: 16,
  /** Header and tag around the padded inner packet. */
  overhead: 32,
} as const;
