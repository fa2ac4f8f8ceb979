import { MESSAGE_TYPE, messageType, readU32, writeU32 } from './message-type.ts';

/** Handshake initiation, paper 5.4.2. Offsets in bytes; integers little-endian. */
export const INITIATION = {
  type: 0,
  sender: 4,
  ephemeral: 8, // 32
  encryptedStatic: 40, // 32 + 16
  encryptedTimestamp: 88, // 12 + 16
  mac1: 116, // 16
  mac2: 132, // 16
  length: 148,
} as const;

/** A parsed initiation. The arrays are views into the datagram. */
export interface Initiation {
  readonly sender: number;
  readonly ephemeral: Uint8Array;
  readonly encryptedStatic: Uint8Array;
  readonly encryptedTimestamp: Uint8Array;
}

export function parseInitiation(message: Uint8Array): Initiation | undefined {
  if (message.length !== INITIATION.length) return undefined;
  if (messageType(message) !== MESSAGE_TYPE.initiation) return undefined;
  return {
    sender: readU32(message, INITIATION.sender),
    ephemeral: message.subarray(INITIATION.ephemeral, INITIATION.encryptedStatic),
    encryptedStatic: message.subarray(INITIATION.encryptedStatic, INITIATION.encryptedTimestamp),
    encryptedTimestamp: message.subarray(INITIATION.encryptedTimestamp, INITIATION.mac1),
  };
}

/** The message with both MACs still zero. */
export function encodeInitiation(fields: Initiation): Uint8Array {
  const message = new Uint8Array(INITIATION.length);
  writeU32(message, INITIATION.type, MESSAGE_TYPE.initiation);
  writeU32(message, INITIATION.sender, fields.sender);
  message.set(fields.ephemeral, INITIATION.ephemeral);
  message.set(fields.encryptedStatic, INITIATION.encryptedStatic);
  message.set(fields.encryptedTimestamp, INITIATION.encryptedTimestamp);
  return message;
}
