import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { nobleProvider } from '../../src/crypto/noble.ts';
import { nodeProvider } from '../../src/crypto/node.ts';
import {
  COOKIE_LIFETIME_MS,
  CookieChecker,
  CookieGenerator,
  cookieSource,
} from '../../src/noise/cookie.ts';
import { type CookieReply, parseCookieReply } from '../../src/wire/cookie-reply.ts';
import { INITIATION } from '../../src/wire/initiation.ts';
import { RESPONSE } from '../../src/wire/response.ts';
import { seededBytes } from '../lab/random.ts';

const responderKey = new Uint8Array(32).fill(0x11);
const SOURCE = cookieSource(Uint8Array.of(192, 0, 2, 1), 51820);
const NOW = 1_000_000;

describe.each([nobleProvider, nodeProvider])('$name', (crypto) => {
  let checker: CookieChecker;
  let generator: CookieGenerator;
  const random = seededBytes(1);

  beforeEach(() => {
    checker = new CookieChecker(crypto, responderKey, random);
    generator = new CookieGenerator(crypto, responderKey);
  });

  /** A message of the generator's, with its MACs. */
  const message = (now = NOW, length: number = INITIATION.length): Uint8Array => {
    const bytes = random(length);
    bytes.fill(0, length - 32);
    generator.addMacs(bytes, now);
    return bytes;
  };
  const reply = (to: Uint8Array, now = NOW, source = SOURCE): CookieReply =>
    parseCookieReply(checker.createReply(to, 77, source, now))!;
  const mac2Of = (bytes: Uint8Array): string => bytes.slice(-16).toHex();
  const NO_MAC = '00'.repeat(16);

  test('mac1 covers every byte before it, and only who knows the public key can make it', () => {
    for (const length of [INITIATION.length, RESPONSE.length]) {
      const good = message(NOW, length);
      expect(checker.hasValidMac1(good)).toBe(true);
      for (let at = 0; at < length - 16; at++) {
        const wrong = good.slice();
        wrong[at]! ^= 1;
        expect(checker.hasValidMac1(wrong)).toBe(false);
      }
    }
    const other = new CookieChecker(crypto, new Uint8Array(32).fill(0x12), random);
    expect(other.hasValidMac1(message())).toBe(false);
  });

  test('without a cookie mac2 is zero; with one it is valid for its source', () => {
    const first = message();
    expect(mac2Of(first)).toBe(NO_MAC);
    expect(checker.hasValidMac2(first, SOURCE, NOW)).toBe(false);
    expect(generator.consumeReply(reply(first), NOW)).toBe(true);
    const second = message();
    expect(checker.hasValidMac2(second, SOURCE, NOW)).toBe(true);
    for (let at = 0; at < second.length; at++) {
      const wrong = second.slice();
      wrong[at]! ^= 1;
      expect(checker.hasValidMac2(wrong, SOURCE, NOW)).toBe(false);
    }
  });

  test('a cookie is bound to the address and to the port', () => {
    generator.consumeReply(reply(message()), NOW);
    const second = message();
    const elsewhere = [
      cookieSource(Uint8Array.of(192, 0, 2, 1), 51821),
      cookieSource(Uint8Array.of(192, 0, 2, 1), 51820 ^ 0x100),
      cookieSource(Uint8Array.of(192, 0, 2, 2), 51820),
      cookieSource(new Uint8Array(16), 51820),
    ];
    for (const source of elsewhere) expect(checker.hasValidMac2(second, source, NOW)).toBe(false);
    expect(checker.hasValidMac2(second, SOURCE, NOW)).toBe(true);
  });

  test('the secret changes after 120 s: older cookies are worth nothing from then on', () => {
    generator.consumeReply(reply(message()), NOW);
    const last = NOW + COOKIE_LIFETIME_MS - 1;
    expect(checker.hasValidMac2(message(last), SOURCE, last)).toBe(true);
    const late = NOW + COOKIE_LIFETIME_MS;
    const stale = message(last); // made with the cookie while it was fresh
    expect(checker.hasValidMac2(stale, SOURCE, late)).toBe(false);
    expect(generator.consumeReply(reply(stale, late), late)).toBe(true);
    expect(checker.hasValidMac2(stale, SOURCE, late)).toBe(false);
    expect(checker.hasValidMac2(message(late), SOURCE, late)).toBe(true);
  });

  test('a generator stops using a cookie after 120 s', () => {
    generator.consumeReply(reply(message()), NOW);
    expect(mac2Of(message(NOW + COOKIE_LIFETIME_MS - 1))).not.toBe(NO_MAC);
    expect(mac2Of(message(NOW + COOKIE_LIFETIME_MS))).toBe(NO_MAC);
  });

  test('one reply per message: a second one, or one to an earlier message, is refused', () => {
    const first = message();
    const toFirst = reply(first);
    const second = message();
    expect(generator.consumeReply(toFirst, NOW)).toBe(false); // bound to the mac1 of the first
    expect(generator.consumeReply(reply(second), NOW)).toBe(true);
    expect(generator.consumeReply(reply(second), NOW)).toBe(false);
    expect(new CookieGenerator(crypto, responderKey).consumeReply(reply(second), NOW)).toBe(false);
  });

  test('a reply in which any byte is wrong is refused, and the right one still works', () => {
    const sent = message();
    const encoded = checker.createReply(sent, 77, SOURCE, NOW);
    for (let at = 8; at < encoded.length; at++) {
      const wrong = encoded.slice();
      wrong[at]! ^= 1;
      expect(generator.consumeReply(parseCookieReply(wrong)!, NOW)).toBe(false);
    }
    expect(generator.consumeReply(parseCookieReply(encoded)!, NOW)).toBe(true);
  });

  test('a reply of somebody who does not know the key, or for another one, is refused', () => {
    const sent = message();
    const other = new CookieChecker(crypto, new Uint8Array(32).fill(0x12), random);
    const foreign = parseCookieReply(other.createReply(sent, 77, SOURCE, NOW))!;
    expect(generator.consumeReply(foreign, NOW)).toBe(false);
  });

  test('nonces of replies never repeat', () => {
    const sent = message();
    const nonces = new Set(Array.from({ length: 200 }, () => reply(sent).nonce.toHex()));
    expect(nonces.size).toBe(200);
  });
});

test('sources of different address or port are different bytes', () => {
  const address = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
  );
  const port = fc.integer({ min: 0, max: 0xffff });
  fc.assert(
    fc.property(address, port, address, port, (a, portA, b, portB) => {
      const same = a.toHex() === b.toHex() && portA === portB;
      expect(cookieSource(a, portA).toHex() === cookieSource(b, portB).toHex()).toBe(same);
      expect(cookieSource(a, portA).length).toBe(a.length + 2);
    }),
  );
});
