import type { Ed25519Check, RandomBytes } from './provider.ts';
import {
  assembleEdwards25519,
  type Edwards25519,
  ELEMENT,
  LIMB_BITS,
  LIMBS,
  P,
  POINT,
  SCRATCH,
} from './wasm/edwards25519.ts';

export interface BatchInput {
  readonly random: RandomBytes;
  readonly sha512: (...parts: Uint8Array[]) => Uint8Array;
  /** Whether signatures of that key (32 bytes) are verified at all. */
  readonly isAcceptable: (publicKey: Uint8Array) => boolean;
}

/** Most signatures of one equation: it lies in memory as a whole. */
export const MOST_CHECKS = 2048;

/** Order of the base point, RFC 8032 section 5.1. */
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const D = 37095705934669439343138083508754565189542113879843219016388785533085940283555n;
/** 2^((p - 1) / 4). */
const ROOT_OF_MINUS_ONE =
  19681161376707505956807079304988542015446066515923890162744021073123829784752n;
/** The base point as it is encoded: y = 4/5. */
const BASE = new Uint8Array(32).fill(0x66).with(0, 0x58);

/** Bytes of a term's scalar. Terms are sorted by one byte after the other. */
const SCALAR = 16;
const BUCKETS = 255;
/** A signature has its own point and, at most, its own key, which is two terms; the base is two more. */
const MOST_TERMS = 3 * MOST_CHECKS + 2;
const MOST_KEYS = 16_384;

/** Where things lie in memory, behind the scratch area, which begins at 0 with 2d. */
const [ONE, ZERO, D_AT, ROOT_AT, U, V, POWER, READ, A, B, C, E] = addresses(12, SCRATCH, ELEMENT);
const ELEMENTS_END = SCRATCH + 12 * ELEMENT;
const [IDENTITY, SUM, RUNNING] = addresses(3, ELEMENTS_END, POINT);
const BUCKET = ELEMENTS_END + 3 * POINT;
const TERM = BUCKET + BUCKETS * POINT;
const PAGES = Math.ceil((TERM + MOST_TERMS * POINT) / 65_536);

/**
 * Verifies many Ed25519 signatures (RFC 8032) by one equation. With a random z of 128 bits for each,
 *
 *   8 (sum of z R + z k A) = 8 (sum of z s) B
 *
 * holds if 8 R + 8 k A = 8 s B for every one, which is how RFC 8032 section 5.1.7 defines verification; if it
 * does not for any, with a probability of 2^-128 (Bernstein, Duif, Lange, Schwabe and Yang, "High-speed
 * high-security signatures", section 5). A key's terms are one. Sums are made with buckets, as Pippenger did.
 */
export class Ed25519Batch {
  private readonly input: BatchInput;
  private readonly curve: Edwards25519;
  private readonly bytes: Uint8Array;
  private readonly words: Uint32Array;
  /** By their bytes as text: A and 2^128 A. Undefined: nothing that it signs verifies. */
  private readonly keys = new Map<string, Uint8Array | undefined>();
  private readonly base: Uint8Array;

  /** Throws where there is no WebAssembly with shared memory. */
  constructor(input: BatchInput) {
    this.input = input;
    const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });
    const module = new WebAssembly.Module(assembleEdwards25519(PAGES));
    const { exports } = new WebAssembly.Instance(module, { env: { memory, scratch: 0 } });
    this.curve = exports as unknown as Edwards25519;
    this.bytes = new Uint8Array(memory.buffer);
    this.words = new Uint32Array(memory.buffer);
    this.put(0, (2n * D) % P);
    this.put(ONE, 1n);
    this.put(ZERO, 0n);
    this.put(D_AT, D);
    this.put(ROOT_AT, ROOT_OF_MINUS_ONE);
    this.put(IDENTITY + ELEMENT, 1n); // y
    this.put(IDENTITY + 2 * ELEMENT, 1n); // z
    this.base = this.pairOf(BASE)!;
  }

  /** Whether all verify; at most {@link MOST_CHECKS}. If not, nothing says which. */
  verify(checks: readonly Ed25519Check[]): boolean {
    if (checks.length > MOST_CHECKS) throw new RangeError(`${checks.length} signatures at once`);
    const { random, sha512 } = this.input;
    const coefficients = random(SCALAR * checks.length);
    const scalars: Uint8Array[] = [];
    const ofKeys = new Map<Uint8Array, bigint>();
    let ofBase = 0n;
    for (const { publicKey, message, signature } of checks) {
      const key = this.keyOf(publicKey);
      if (key === undefined || signature.length !== 64) return false;
      const r = signature.subarray(0, 32);
      const s = littleEndian(signature.subarray(32));
      if (s >= L || !this.decode(r, TERM + scalars.length * POINT)) return false;
      const offset = scalars.length * SCALAR;
      const coefficient = coefficients.subarray(offset, offset + SCALAR);
      const z = littleEndian(coefficient);
      const k = littleEndian(sha512(r, publicKey, message));
      ofKeys.set(key, (ofKeys.get(key) ?? 0n) + z * (k % L));
      ofBase += z * s;
      scalars.push(coefficient);
    }
    ofKeys.set(this.base, L - (ofBase % L));
    for (const [pair, scalar] of ofKeys) {
      this.bytes.set(pair, TERM + scalars.length * POINT);
      const both = Uint8Array.fromHex((scalar % L).toString(16).padStart(64, '0')).reverse();
      scalars.push(both.subarray(0, SCALAR), both.subarray(SCALAR));
    }
    this.sumOf(scalars);
    this.double(SUM, 3);
    const [x, y, z] = addresses(3, SUM, ELEMENT);
    return this.isZero(x) && this.isSame(y, z);
  }

  /** Leaves at SUM the terms, each so many times. */
  private sumOf(scalars: readonly Uint8Array[]): void {
    const { curve, bytes } = this;
    const clear = (point: number) => bytes.copyWithin(point, IDENTITY, IDENTITY + POINT);
    clear(SUM);
    for (let place = SCALAR - 1; place >= 0; place--) {
      this.double(SUM, 8);
      for (let i = 0; i < BUCKETS; i++) clear(BUCKET + i * POINT);
      for (let i = 0; i < scalars.length; i++) {
        const digit = scalars[i]![place]!;
        const bucket = BUCKET + (digit - 1) * POINT;
        if (digit > 0) curve.addPoints(bucket, bucket, TERM + i * POINT);
      }
      clear(RUNNING);
      for (let i = BUCKETS - 1; i >= 0; i--) {
        curve.addPoints(RUNNING, RUNNING, BUCKET + i * POINT);
        curve.addPoints(SUM, SUM, RUNNING);
      }
    }
  }

  private double(point: number, times: number): void {
    for (let i = 0; i < times; i++) this.curve.addPoints(point, point, point);
  }

  private keyOf(publicKey: Uint8Array): Uint8Array | undefined {
    const name = Buffer.from(publicKey).toString('latin1');
    if (!this.keys.has(name)) {
      if (this.keys.size === MOST_KEYS) this.keys.clear();
      const isOne = publicKey.length === 32 && this.input.isAcceptable(publicKey);
      this.keys.set(name, isOne ? this.pairOf(publicKey) : undefined);
    }
    return this.keys.get(name);
  }

  /** A point, and 2^128 times it: so that keys have scalars of 128 bits, too. */
  private pairOf(encoded: Uint8Array): Uint8Array | undefined {
    if (!this.decode(encoded, SUM)) return undefined;
    const pair = new Uint8Array(2 * POINT);
    pair.set(this.bytes.subarray(SUM, SUM + POINT));
    this.double(SUM, 8 * SCALAR);
    pair.set(this.bytes.subarray(SUM, SUM + POINT), POINT);
    return pair;
  }

  /** RFC 8032 section 5.1.3, of 32 bytes. False: they are no point's encoding. */
  private decode(encoded: Uint8Array, point: number): boolean {
    const { curve } = this;
    const [x, y, z, t] = addresses(4, point, ELEMENT);
    if (!isReduced(encoded)) return false;
    this.putBytes(y, encoded);
    curve.square(V, y, 1);
    curve.subtract(U, V, ONE);
    curve.multiply(V, V, D_AT);
    curve.add(V, V, ONE);
    // x = u v^3 (u v^7)^((p - 5) / 8)
    curve.square(B, V, 1);
    curve.multiply(B, B, V);
    curve.multiply(E, B, U);
    curve.square(B, B, 1);
    curve.multiply(B, B, V);
    curve.multiply(B, B, U);
    this.raise(POWER, B);
    curve.multiply(x, POWER, E);
    curve.square(A, x, 1);
    curve.multiply(A, A, V);
    if (!this.isSame(A, U)) {
      curve.add(A, A, U);
      if (!this.isZero(A)) return false;
      curve.multiply(x, x, ROOT_AT);
    }
    const isNegative = encoded[31]! >> 7;
    if (this.isZero(x) && isNegative === 1) return false;
    if ((this.words[READ / 4]! & 1) !== isNegative) curve.subtract(x, ZERO, x);
    curve.add(z, ONE, ZERO);
    curve.multiply(t, x, y);
    return true;
  }

  /** The power of (p - 5) / 8 = 2^252 - 3. `to` and `base` are none of A, C and READ. */
  private raise(to: number, base: number): void {
    const step = (result: number, from: number, times: number, by: number) => {
      this.curve.square(result, from, times);
      this.curve.multiply(result, result, by);
    };
    step(A, base, 1, base); // 2^2 - 1
    step(C, A, 1, base); // 2^3 - 1
    step(C, C, 2, A); // 2^5 - 1
    step(A, C, 5, C); // 2^10 - 1
    step(C, A, 10, A); // 2^20 - 1
    step(READ, C, 20, C); // 2^40 - 1
    step(READ, READ, 10, A); // 2^50 - 1
    step(A, READ, 50, READ); // 2^100 - 1
    step(C, A, 100, A); // 2^200 - 1
    step(C, C, 50, READ); // 2^250 - 1
    step(to, C, 2, base); // 2^252 - 3
  }

  private isSame(a: number, b: number): boolean {
    this.curve.subtract(READ, a, b);
    return this.isZero(READ);
  }

  /** Leaves the element's least residue at READ. */
  private isZero(a: number): boolean {
    this.curve.reduce(READ, a);
    const first = READ / 4;
    return this.words.subarray(first, first + LIMBS).every((limb) => limb === 0);
  }

  private put(at: number, value: bigint): void {
    for (let i = 0; i < LIMBS; i++) {
      this.words[at / 4 + i] = Number((value >> BigInt(LIMB_BITS * i)) & (2n ** 29n - 1n));
    }
  }

  /** 255 bits, least byte first. */
  private putBytes(at: number, encoded: Uint8Array): void {
    for (let i = 0; i < LIMBS; i++) {
      const bit = LIMB_BITS * i;
      const byte = bit >> 3;
      // 29 bits from any bit on lie within five bytes.
      const low = encoded[byte]! | (encoded[byte + 1]! << 8) | (encoded[byte + 2]! << 16);
      const high = (encoded[byte + 3] ?? 0) + 256 * (encoded[byte + 4] ?? 0);
      const mask = i === LIMBS - 1 ? 2 ** 23 - 1 : 2 ** 29 - 1;
      this.words[at / 4 + i] = Math.floor((low + high * 2 ** 24) / 2 ** (bit & 7)) & mask;
    }
  }
}

type Tuple<N extends number, T extends number[] = []> = T['length'] extends N
  ? T
  : Tuple<N, [...T, number]>;

/** Addresses of `count` things of `size` bytes in a row. */
function addresses<const N extends number>(count: N, first: number, size: number): Tuple<N> {
  return Array.from({ length: count }, (_, i) => first + i * size) as Tuple<N>;
}

/** RFC 8032 section 5.1.2. */
function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${bytes.toReversed().toHex()}`);
}

/** Whether 255 bits, least byte first, are less than p = 2^255 - 19. */
function isReduced(encoded: Uint8Array): boolean {
  if ((encoded[31]! & 0x7f) !== 0x7f || encoded[0]! < 0xed) return true;
  for (let i = 1; i < 31; i++) if (encoded[i] !== 0xff) return true;
  return false;
}
