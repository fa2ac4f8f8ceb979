import { ed25519 } from '@noble/curves/ed25519.js';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  assembleEdwards25519,
  type Edwards25519,
  ELEMENT,
  LIMB_BITS,
  LIMBS,
  P,
  POINT,
  SCRATCH,
} from '../../../src/crypto/wasm/edwards25519.ts';

const { Point } = ed25519;
const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
const module = new WebAssembly.Module(assembleEdwards25519(1));
const curve = new WebAssembly.Instance(module, { env: { memory, scratch: 0 } })
  .exports as unknown as Edwards25519;
const words = new Uint32Array(memory.buffer);
const [A, B, C] = [SCRATCH, SCRATCH + POINT, SCRATCH + 2 * POINT] as const;

const MOST = 2 ** LIMB_BITS - 1;
/** Limbs as they may lie in memory, often at the ends of their range. */
const limbs = fc
  .array(fc.oneof(fc.constantFrom(0, 1, MOST - 1, MOST), fc.nat({ max: MOST })), {
    minLength: LIMBS,
    maxLength: LIMBS,
  })
  .chain((all) => fc.constantFrom(0, 2 ** 22 - 1).map((more) => all.with(0, all[0]! + more)));
/** Residues around p and 2^255, too. */
const near = fc
  .tuple(fc.constantFrom(0n, P, 2n * P, 2n ** 255n, 63n * P), fc.bigInt(-40n, 40n))
  .map(([base, offset]) => limbsOf(base + offset < 0n ? 0n : base + offset));
const element = fc.oneof(limbs, near);

function limbsOf(value: bigint): number[] {
  return Array.from({ length: LIMBS }, (_, i) =>
    Number((value >> BigInt(LIMB_BITS * i)) & BigInt(MOST)),
  );
}

function put(at: number, all: readonly number[]): bigint {
  words.set(all, at / 4);
  return read(at);
}

function read(at: number): bigint {
  const all = [...words.subarray(at / 4, at / 4 + LIMBS)];
  return all.reduceRight((high, limb) => (high << BigInt(LIMB_BITS)) + BigInt(limb), 0n);
}

/** The result, whose limbs are as small as the next operation takes them. */
function result(at: number): bigint {
  const [first, ...others] = words.subarray(at / 4, at / 4 + LIMBS);
  expect(first).toBeLessThan(2 ** LIMB_BITS + 2 ** 22);
  for (const limb of others) expect(limb).toBeLessThan(2 ** LIMB_BITS);
  return read(at) % P;
}

test('elements are multiplied, squared, added and subtracted as numbers mod p, also in place', () => {
  fc.assert(
    fc.property(element, element, fc.constantFrom(A, B, C), (one, other, to) => {
      const both = () => [put(A, one), put(B, other)] as const;
      const [a, b] = both();
      curve.multiply(to, A, B);
      expect(result(to)).toBe((a * b) % P);
      both();
      curve.add(to, A, B);
      expect(result(to)).toBe((a + b) % P);
      both();
      curve.subtract(to, A, B);
      expect(result(to)).toBe((a + P * 2n ** 10n - b) % P);
      both();
      curve.square(to, A, 1);
      expect(result(to)).toBe((a * a) % P);
      both();
      curve.square(to, A, 3);
      expect(result(to)).toBe(a ** 8n % P);
    }),
    { numRuns: 2000 },
  );
});

test('an element is reduced to its least residue', () => {
  fc.assert(
    fc.property(element, (limbs) => {
      const value = put(A, limbs);
      curve.reduce(B, A);
      expect(read(B)).toBe(value % P);
    }),
    { numRuns: 5000 },
  );
});

test('points are added as noble does: any two, the same, opposite ones, and none', () => {
  const d = (P * P - 121665n * inverse(121666n)) % P;
  put(0, limbsOf((2n * d) % P));
  const putPoint = (at: number, scalar: bigint) => {
    const point = scalar === 0n ? Point.ZERO : Point.BASE.multiply(scalar);
    for (const [i, value] of [point.X, point.Y, point.Z, point.T].entries()) {
      put(at + i * ELEMENT, limbsOf(value));
    }
    return point;
  };
  const scalar = fc.oneof(fc.constantFrom(0n, 1n, 2n), fc.bigInt(1n, 2n ** 250n));
  const kind = fc.constantFrom('any', 'same', 'opposite');
  fc.assert(
    fc.property(scalar, scalar, kind, fc.constantFrom(A, B, C), (p, any, how, to) => {
      const opposite = (Point.Fn.ORDER - p) % Point.Fn.ORDER;
      const q = how === 'any' ? any : how === 'same' ? p : opposite;
      const expected = putPoint(A, p).add(putPoint(B, q));
      curve.addPoints(to, A, B);
      const [x, y, z, t] = [0, 1, 2, 3].map((i) => result(to + i * ELEMENT));
      expect((x! * y!) % P).toBe((z! * t!) % P);
      expect(new Point(x!, y!, z!, t!).equals(expected)).toBe(true);
    }),
  );
});

function inverse(value: bigint): bigint {
  let [power, base, exponent] = [1n, value, P - 2n];
  for (; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) power = (power * base) % P;
    base = (base * base) % P;
  }
  return power;
}
