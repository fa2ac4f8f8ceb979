/** First field of every message: one type byte and three reserved zero bytes, read as a u32 LE. */
export const MESSAGE_TYPE = {
  initiation: 1,
  response: 2,
  cookieReply: 3,
  transportData: 4,
} as const;

/** The type field of a datagram, or 0 (no type) if it is too short to have one. */
export function messageType(message: Uint8Array): number {
  if (message.length < 4) return 0;
  return (message[0]! | (message[1]! << 8) | (message[2]! << 16) | (message[3]! << 24)) >>> 0;
}

export const readU32 = (bytes: Uint8Array, offset: number): number =>
  (bytes[offset]! |
    (bytes[offset + 1]! << 8) |
    (bytes[offset + 2]! << 16) |
    (bytes[offset + 3]! << 24)) >>>
  0;

export function writeU32(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value;
  bytes[offset + 1] = value >>> 8;
  bytes[offset + 2] = value >>> 16;
  bytes[offset + 3] = value >>> 24;
}
