import { MESSAGE_TYPE, messageType, readU32, writeU32 } from './message-type.ts';

/** Handshake response, paper 5.4.3. Offsets in bytes; integers little-endian. */
export const RESPONSE = {
  type: 0,
  sender: 4,
  receiver: 8,
  ephemeral: 12, // 32
  encryptedNothing: 44, // 0 + 16
  mac1: 60, // 16
  mac2: 76, // 16
  length: 92,
} as const;

/** A parsed response. The arrays are views into the datagram. */
export interface Response {
  readonly sender: number;
  readonly receiver: number;
  readonly ephemeral: Uint8Array;
  readonly encryptedNothing: Uint8Array;
}

export function parseResponse(message: Uint8Array): Response | undefined {
  if (message.length !== RESPONSE.length) return undefined;
  if (messageType(message) !== MESSAGE_TYPE.response) return undefined;
  return {
    sender: readU32(message, RESPONSE.sender),
    receiver: readU32(message, RESPONSE.receiver),
    ephemeral: message.subarray(RESPONSE.ephemeral, RESPONSE.encryptedNothing),
    encryptedNothing: message.subarray(RESPONSE.encryptedNothing, RESPONSE.mac1),
  };
}

/** The message with both MACs still zero. */
export function encodeResponse(fields: Response): Uint8Array {
  const message = new Uint8Array(RESPONSE.length);
  writeU32(message, RESPONSE.type, MESSAGE_TYPE.response);
  writeU32(message, RESPONSE.sender, fields.sender);
  writeU32(message, RESPONSE.receiver, fields.receiver);
  message.set(fields.ephemeral, RESPONSE.ephemeral);
  message.set(fields.encryptedNothing, RESPONSE.encryptedNothing);
  return message;
}
