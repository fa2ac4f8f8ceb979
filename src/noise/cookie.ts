import { concatBytes, constantTimeEqual, copyBytes, zeroize } from '../crypto/bytes.ts';
import type { CryptoProvider, RandomBytes } from '../crypto/provider.ts';
import { type CookieReply, encodeCookieReply } from '../wire/cookie-reply.ts';
import { LABEL_COOKIE, LABEL_MAC1 } from './protocol.ts';

const MAC_LENGTH = 16;
const NONCE_LENGTH = 24;
const SECRET_LENGTH = 32;
/** Paper 5.4.7: the responder's secret changes, and a cookie counts as stale, after two minutes. */
export const COOKIE_LIFETIME_MS = 120_000;

/** A handshake message ends with mac1 and mac2 (paper 5.4.4). */
const mac1Of = (message: Uint8Array): Uint8Array =>
  message.subarray(message.length - 2 * MAC_LENGTH, message.length - MAC_LENGTH);
const mac2Of = (message: Uint8Array): Uint8Array => message.subarray(message.length - MAC_LENGTH);
const beforeMac1 = (message: Uint8Array): Uint8Array =>
  message.subarray(0, message.length - 2 * MAC_LENGTH);
const beforeMac2 = (message: Uint8Array): Uint8Array =>
  message.subarray(0, message.length - MAC_LENGTH);

/** The receiving side: verifies MACs of incoming handshake messages and hands out cookies. */
export class CookieChecker {
  private readonly crypto: CryptoProvider;
  private readonly random: RandomBytes;
  private readonly mac1Key: Uint8Array;
  private readonly cookieKey: Uint8Array;
  private secret: Uint8Array = new Uint8Array(0);
  private secretSetAt = Number.NEGATIVE_INFINITY;

  /** `localStatic`: this device's public key. */
  constructor(crypto: CryptoProvider, localStatic: Uint8Array, random: RandomBytes) {
    this.crypto = crypto;
    this.random = random;
    this.mac1Key = crypto.hash(LABEL_MAC1, localStatic);
    this.cookieKey = crypto.hash(LABEL_COOKIE, localStatic);
  }

  hasValidMac1(message: Uint8Array): boolean {
    return constantTimeEqual(this.crypto.mac(this.mac1Key, beforeMac1(message)), mac1Of(message));
  }

  /** `source`: the sender's IP address and port as bytes; both are covered (paper 5.3). */
  hasValidMac2(message: Uint8Array, source: Uint8Array, now: number): boolean {
    if (now - this.secretSetAt >= COOKIE_LIFETIME_MS) return false;
    const cookie = this.crypto.mac(this.secret, source);
    const valid = constantTimeEqual(this.crypto.mac(cookie, beforeMac2(message)), mac2Of(message));
    zeroize(cookie);
    return valid;
  }

  /** The reply to `message`, whose mac1 must have been checked; `receiver` is its sender index. */
  createReply(message: Uint8Array, receiver: number, source: Uint8Array, now: number): Uint8Array {
    if (now - this.secretSetAt >= COOKIE_LIFETIME_MS) {
      zeroize(this.secret);
      this.secret = this.random(SECRET_LENGTH);
      this.secretSetAt = now;
    }
    const cookie = this.crypto.mac(this.secret, source);
    const nonce = this.random(NONCE_LENGTH);
    const encryptedCookie = this.crypto.xaeadSeal(this.cookieKey, nonce, cookie, mac1Of(message));
    zeroize(cookie);
    return encodeCookieReply({ receiver, nonce, encryptedCookie });
  }
}

/** The sending side, one for each peer: puts MACs on messages and remembers the peer's cookie. */
export class CookieGenerator {
  private readonly crypto: CryptoProvider;
  private readonly mac1Key: Uint8Array;
  private readonly cookieKey: Uint8Array;
  private lastMac1: Uint8Array | undefined;
  private cookie: Uint8Array = new Uint8Array(0);
  private cookieSetAt = Number.NEGATIVE_INFINITY;

  /** `remoteStatic`: the peer's public key. */
  constructor(crypto: CryptoProvider, remoteStatic: Uint8Array) {
    this.crypto = crypto;
    this.mac1Key = crypto.hash(LABEL_MAC1, remoteStatic);
    this.cookieKey = crypto.hash(LABEL_COOKIE, remoteStatic);
  }

  /** Fills in mac1, and mac2 if a fresh cookie is known (paper 5.4.4). */
  addMacs(message: Uint8Array, now: number): void {
    const mac1 = this.crypto.mac(this.mac1Key, beforeMac1(message));
    mac1Of(message).set(mac1);
    this.lastMac1 = mac1;
    if (now - this.cookieSetAt < COOKIE_LIFETIME_MS) {
      mac2Of(message).set(this.crypto.mac(this.cookie, beforeMac2(message)));
    }
  }

  /** False if no message of ours is being answered or the reply does not authenticate. */
  consumeReply(reply: CookieReply, now: number): boolean {
    if (this.lastMac1 === undefined) return false;
    const cookie = this.crypto.xaeadOpen(
      this.cookieKey,
      reply.nonce,
      reply.encryptedCookie,
      this.lastMac1,
    );
    if (cookie === undefined) return false;
    zeroize(this.cookie);
    this.cookie = copyBytes(cookie);
    this.cookieSetAt = now;
    this.lastMac1 = undefined; // one reply per message
    return true;
  }

  zeroize(): void {
    zeroize(this.cookie);
    this.cookieSetAt = Number.NEGATIVE_INFINITY;
  }
}

/** Bytes that identify a sender for cookies: IP address, then port in network order. */
export function cookieSource(address: Uint8Array, port: number): Uint8Array {
  return concatBytes(address, Uint8Array.of(port >>> 8, port & 0xff));
}
