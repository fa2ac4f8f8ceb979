import { MESSAGE_TYPE, messageType, readU32, writeU32 } from './message-type.ts';

/** Cookie reply, paper 5.4.7. Offsets in bytes; integers little-endian. */
export const COOKIE_REPLY = {
  type: 0,
  receiver: 4,
  nonce: 8, // 24
  encryptedCookie: 32, // 16 + 16
  length: 64,
} as const;

/** A parsed cookie reply. The arrays are views into the datagram. */
export interface CookieReply {
  readonly receiver: number;
  readonly nonce: Uint8Array;
  readonly encryptedCookie: Uint8Array;
}

export function parseCookieReply(message: Uint8Array): CookieReply | undefined {
  if (message.length !== COOKIE_REPLY.length) return undefined;
  if (messageType(message) !== MESSAGE_TYPE.cookieReply) return undefined;
  return {
    receiver: readU32(message, COOKIE_REPLY.receiver),
    nonce: message.subarray(COOKIE_REPLY.nonce, COOKIE_REPLY.encryptedCookie),
    encryptedCookie: message.subarray(COOKIE_REPLY.encryptedCookie, COOKIE_REPLY.length),
  };
}

export function encodeCookieReply(fields: CookieReply): Uint8Array {
  const message = new Uint8Array(COOKIE_REPLY.length);
  writeU32(message, COOKIE_REPLY.type, MESSAGE_TYPE.cookieReply);
  writeU32(message, COOKIE_REPLY.receiver, fields.receiver);
  message.set(fields.nonce, COOKIE_REPLY.nonce);
  message.set(fields.encryptedCookie, COOKIE_REPLY.encryptedCookie);
  return message;
}
