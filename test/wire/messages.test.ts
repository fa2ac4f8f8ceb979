import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { COOKIE_REPLY, encodeCookieReply, parseCookieReply } from '../../src/wire/cookie-reply.ts';
import { encodeInitiation, INITIATION, parseInitiation } from '../../src/wire/initiation.ts';
import { MESSAGE_TYPE, messageType, readU32, writeU32 } from '../../src/wire/message-type.ts';
import { encodeResponse, parseResponse, RESPONSE } from '../../src/wire/response.ts';
import { TRANSPORT_DATA } from '../../src/wire/transport-data.ts';

const u32 = fc.integer({ min: 0, max: 0xffffffff });
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

/** Reads a little-endian number the obvious way. */
const little = (message: Uint8Array, at: number): number =>
  message[at]! +
  message[at + 1]! * 2 ** 8 +
  message[at + 2]! * 2 ** 16 +
  message[at + 3]! * 2 ** 24;

test('messages have the lengths of paper 5.4', () => {
  expect(INITIATION.length).toBe(148);
  expect(RESPONSE.length).toBe(92);
  expect(COOKIE_REPLY.length).toBe(64);
  expect(TRANSPORT_DATA.overhead).toBe(16 + 16);
});

test('a u32 reads back as it was written, little-endian', () => {
  fc.assert(
    fc.property(u32, (value) => {
      const memory = new Uint8Array(8);
      writeU32(memory, 3, value);
      expect(readU32(memory, 3)).toBe(value);
      expect(little(memory, 3)).toBe(value);
    }),
  );
});

describe('initiation', () => {
  test('every field stands where paper 5.4.2 puts it, MACs are zero', () => {
    fc.assert(
      fc.property(u32, bytes(32), bytes(48), bytes(28), (sender, ephemeral, s, t) => {
        const fields = { sender, ephemeral, encryptedStatic: s, encryptedTimestamp: t };
        const message = encodeInitiation(fields);
        expect(message).toHaveLength(148);
        expect(little(message, 0)).toBe(1);
        expect(little(message, 4)).toBe(sender);
        expect(message.slice(8, 40)).toEqual(ephemeral);
        expect(message.slice(40, 88)).toEqual(s);
        expect(message.slice(88, 116)).toEqual(t);
        expect(message.slice(116)).toEqual(new Uint8Array(32));
        expect(parseInitiation(message)).toEqual(fields);
      }),
    );
  });
});

describe('response', () => {
  test('every field stands where paper 5.4.3 puts it, MACs are zero', () => {
    fc.assert(
      fc.property(u32, u32, bytes(32), bytes(16), (sender, receiver, ephemeral, nothing) => {
        const fields = { sender, receiver, ephemeral, encryptedNothing: nothing };
        const message = encodeResponse(fields);
        expect(message).toHaveLength(92);
        expect(little(message, 0)).toBe(2);
        expect(little(message, 4)).toBe(sender);
        expect(little(message, 8)).toBe(receiver);
        expect(message.slice(12, 44)).toEqual(ephemeral);
        expect(message.slice(44, 60)).toEqual(nothing);
        expect(message.slice(60)).toEqual(new Uint8Array(32));
        expect(parseResponse(message)).toEqual(fields);
      }),
    );
  });
});

describe('cookie reply', () => {
  test('every field stands where paper 5.4.7 puts it', () => {
    fc.assert(
      fc.property(u32, bytes(24), bytes(32), (receiver, nonce, encryptedCookie) => {
        const fields = { receiver, nonce, encryptedCookie };
        const message = encodeCookieReply(fields);
        expect(message).toHaveLength(64);
        expect(little(message, 0)).toBe(3);
        expect(little(message, 4)).toBe(receiver);
        expect(message.slice(8, 32)).toEqual(nonce);
        expect(message.slice(32)).toEqual(encryptedCookie);
        expect(parseCookieReply(message)).toEqual(fields);
      }),
    );
  });
});

const PARSERS = [
  { name: 'initiation', parse: parseInitiation, type: MESSAGE_TYPE.initiation, length: 148 },
  { name: 'response', parse: parseResponse, type: MESSAGE_TYPE.response, length: 92 },
  { name: 'cookie reply', parse: parseCookieReply, type: MESSAGE_TYPE.cookieReply, length: 64 },
];

test.each(PARSERS)('$name: another length, type or a reserved byte is refused', (message) => {
  const { parse, type, length } = message;
  const good = new Uint8Array(length);
  good[0] = type;
  expect(parse(good)).toBeDefined();
  for (let other = 0; other <= 200; other++) {
    if (other === length) continue;
    const bytes = new Uint8Array(other);
    if (other > 0) bytes[0] = type;
    expect(parse(bytes)).toBeUndefined();
  }
  for (let at = 0; at < 4; at++) {
    for (let value = 0; value < 256; value++) {
      if (at === 0 && value === type) continue;
      if (at > 0 && value === 0) continue;
      const bytes = good.slice();
      bytes[at] = value;
      expect(parse(bytes)).toBeUndefined();
    }
  }
});

test('a datagram too short for a type has none', () => {
  for (let length = 0; length < 4; length++) {
    expect(messageType(new Uint8Array(length).fill(1))).toBe(0);
  }
  expect(messageType(Uint8Array.of(4, 0, 0, 0))).toBe(MESSAGE_TYPE.transportData);
  expect(messageType(Uint8Array.of(0, 0, 0, 0x80))).toBe(0x80000000);
});
