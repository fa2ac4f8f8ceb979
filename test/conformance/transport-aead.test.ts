import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nobleProvider } from '../../src/crypto/noble.ts';
import { nodeProvider } from '../../src/crypto/node.ts';
import { SCRATCH_LENGTH, SLACK, TAG_LENGTH } from '../../src/crypto/transport-aead.ts';
import { TRANSPORT_AEADS } from '../../src/crypto/transport-choice.ts';
import { TRANSPORT_AEAD_FACTORIES } from '../../src/crypto/transport-select.ts';
import { seededBytes } from '../lab/random.ts';
import { fromHex, readVectors, toHex } from '../lab/vectors.ts';

/** Every implementation of the transport AEAD does the same, byte for byte. */

interface Rfc8439 {
  chacha20_block: {
    section: string;
    key: string;
    nonce: string;
    counter: number;
    output: string;
  }[];
  chacha20: {
    section: string;
    key: string;
    nonce: string;
    plaintext: string;
    ciphertext: string;
  }[];
  aead: { section: string; key: string; nonce: string; plaintext: string; ciphertext: string }[];
}
const rfc = readVectors<Rfc8439>('rfc8439.json');

const PAGE = 65536;
const PAGES = 8;
const KEY = 256;
const SCRATCH = 4096;
const A = PAGE; // two areas that hold 64 KB and what is around it
const B = 4 * PAGE;
const FILL = 0xa5;
const LARGE = 65536;

const NOTHING = new Uint8Array(0);
const LOW = 0x89abcdef;
const HIGH = 0xfedcba98; // both halves beyond 2^31
const counterOf = (low: number, high: number): bigint => (BigInt(high) << 32n) | BigInt(low);

function setUp(name: (typeof TRANSPORT_AEADS)[number]) {
  const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });
  const bytes = new Uint8Array(memory.buffer);
  const aead = TRANSPORT_AEAD_FACTORIES[name](memory, SCRATCH);
  const key = seededBytes(1)(32);
  bytes.set(key, KEY);
  return { bytes, aead, key };
}

const reference = (key: Uint8Array, low: number, high: number, plaintext: Uint8Array) =>
  Buffer.from(nodeProvider.aeadSeal(key, counterOf(low, high), plaintext, NOTHING));

describe.each(TRANSPORT_AEADS)('%s', (name) => {
  const { bytes, aead, key } = setUp(name);
  const at = (offset: number, length: number): Buffer =>
    Buffer.from(bytes.slice(offset, offset + length));

  test('seals and opens every length from 0 to 2048, apart and in place', () => {
    const random = seededBytes(2)(2048);
    for (let length = 0; length <= 2048; length++) {
      const plaintext = random.subarray(0, length);
      const sealed = reference(key, length, HIGH, plaintext);
      bytes.set(plaintext, A);
      aead.seal(KEY, length, HIGH, B, A, length);
      expect(at(B, length + TAG_LENGTH).equals(sealed), `seal ${length}`).toBe(true);
      aead.seal(KEY, length, HIGH, A, A, length);
      expect(at(A, length + TAG_LENGTH).equals(sealed), `seal ${length} in place`).toBe(true);
      expect(aead.open(KEY, length, HIGH, B, A, length)).toBe(true);
      expect(at(B, length).equals(plaintext), `open ${length}`).toBe(true);
      expect(aead.open(KEY, length, HIGH, A, A, length)).toBe(true);
      expect(at(A, length).equals(plaintext), `open ${length} in place`).toBe(true);
    }
  });

  test('packets sealed one behind the other are whole when the last one is ended', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 2048 })), {
          minLength: 1,
          maxLength: 24,
        }),
        fc.infiniteStream(fc.constantFrom('next', 'end', 'seal', 'open')),
        (lengths, between) => {
          const random = seededBytes(lengths.length)(2048);
          const sealed: { at: number; low: number; length: number }[] = [];
          let place = B;
          lengths.forEach((length, low) => {
            const packet = random.subarray(0, length);
            bytes.set(packet, A);
            bytes.fill(FILL, place, place + length + TAG_LENGTH);
            const step = between.next().value;
            const seal = step === 'seal' ? aead.seal : aead.sealNext;
            seal(KEY, low, HIGH, place, A, length);
            sealed.push({ at: place, low, length });
            place += length + TAG_LENGTH;
            if (step === 'end') aead.sealEnd();
            if (step !== 'open' || sealed.length < 2) return;
            const { at, low: first, length: size } = sealed[0]!;
            expect(aead.open(KEY, first, HIGH, A + PAGE, at, size)).toBe(true);
          });
          aead.sealEnd();
          aead.sealEnd(); // nothing is left to do
          for (const { at: offset, low, length } of sealed) {
            const expected = reference(key, low, HIGH, random.subarray(0, length));
            expect(at(offset, length + TAG_LENGTH).equals(expected)).toBe(true);
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  test('every length follows every kind of packet', () => {
    const random = seededBytes(9)(2048);
    for (const before of [0, 1, 127, 128, 129, 448, 449, 959, 960, 961, 1420, 2048]) {
      for (let length = 0; length <= 1500; length += 1) {
        bytes.set(random, A);
        aead.sealNext(KEY, 1, HIGH, B, A, before);
        aead.sealNext(KEY, 2, HIGH, B + 4096, A, length);
        aead.sealEnd();
        expect(aead.open(KEY, 1, HIGH, A + PAGE, B, before)).toBe(true);
        expect(aead.open(KEY, 2, HIGH, A + PAGE, B + 4096, length)).toBe(true);
        expect(at(A + PAGE, length).equals(random.subarray(0, length))).toBe(true);
      }
    }
  });

  /** A run of packets of one key: `places` apart, sealed by the reference. */
  function sealedRun(lengths: readonly number[], random: Uint8Array): number[] {
    let place = B;
    return lengths.map((length, low) => {
      const at = place;
      bytes.set(reference(key, low, HIGH, random.subarray(0, length)), at);
      place += length + TAG_LENGTH;
      return at;
    });
  }

  test('packets opened one before the other, whatever comes between, are what they were', () => {
    const steps = ['before', 'wrong next', 'forged', 'seal', 'sealNext', 'open', 'end'] as const;
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 2048 })), {
          minLength: 1,
          maxLength: 24,
        }),
        fc.infiniteStream(fc.constantFrom(...steps)),
        (lengths, between) => {
          const random = seededBytes(lengths.length)(2048);
          const places = sealedRun(lengths, random);
          lengths.forEach((length, low) => {
            const step = between.next().value;
            const source = places[low]!;
            const nextLow = step === 'wrong next' ? low + 7 : low + 1;
            const nextLength = lengths[low + 1] ?? 0;
            const open = (to: number) =>
              aead.openBefore(KEY, low, HIGH, to, source, length, KEY, nextLow, HIGH, nextLength);
            if (step === 'forged') {
              const flipped = source + ((low * 13) % (length + TAG_LENGTH));
              bytes[flipped] = bytes[flipped]! ^ 1;
              expect(open(A + PAGE)).toBe(false);
              bytes[flipped] = bytes[flipped]! ^ 1;
            }
            const isOpen =
              step === 'open'
                ? aead.open(KEY, low, HIGH, A + PAGE, source, length)
                : open(A + PAGE);
            expect(isOpen).toBe(true);
            expect(at(A + PAGE, length).equals(random.subarray(0, length))).toBe(true);
            if (step === 'seal' || step === 'sealNext') {
              const seal = step === 'seal' ? aead.seal : aead.sealNext;
              seal(KEY, 99, HIGH, A + PAGE, A, length);
              aead.sealEnd();
            }
            if (step === 'end') aead.openEnd();
          });
        },
      ),
      { numRuns: 150 },
    );
  });

  test('every length is opened behind every kind of packet, apart and in place', () => {
    const random = seededBytes(9)(2048);
    for (const before of [0, 129, 960, 1420]) {
      const second = B + before + TAG_LENGTH;
      for (let length = 0; length <= 1500; length += 1) {
        bytes.set(random, A);
        aead.seal(KEY, 0, HIGH, B, A, before);
        aead.seal(KEY, 1, HIGH, second, A, length);
        expect(aead.openBefore(KEY, 0, HIGH, B, B, before, KEY, 1, HIGH, length)).toBe(true);
        expect(at(B, before).equals(random.subarray(0, before))).toBe(true);
        expect(aead.openBefore(KEY, 1, HIGH, A + PAGE, second, length, 0, 0, 0, 0)).toBe(true);
        expect(at(A + PAGE, length).equals(random.subarray(0, length))).toBe(true);
      }
    }
    aead.openEnd();
  });

  test('nothing is opened by a key that has been replaced', () => {
    const length = 1420;
    const plaintext = seededBytes(4)(length);
    const [first, second] = sealedRun([length, length], plaintext) as [number, number];
    expect(aead.openBefore(KEY, 0, HIGH, A, first, length, KEY, 1, HIGH, length)).toBe(true);
    aead.openEnd();
    bytes.fill(0, KEY, KEY + 32);
    expect(aead.openBefore(KEY, 1, HIGH, A, second, length, 0, 0, 0, 0)).toBe(false);
    bytes.set(key, KEY);
  });

  test('seals and opens 64 KB', () => {
    const plaintext = seededBytes(3)(LARGE);
    bytes.set(plaintext, A);
    aead.seal(KEY, LOW, HIGH, B, A, LARGE);
    expect(at(B, LARGE + TAG_LENGTH).equals(reference(key, LOW, HIGH, plaintext))).toBe(true);
    expect(aead.open(KEY, LOW, HIGH, B, B, LARGE)).toBe(true);
    expect(at(B, LARGE).equals(plaintext)).toBe(true);
  });

  test.each([5, 100, 333, 1420])('does not mind the alignment of %i bytes', (length) => {
    const plaintext = seededBytes(4)(length);
    const sealed = reference(key, LOW, HIGH, plaintext);
    for (let source = A; source < A + 16; source++) {
      bytes.set(plaintext, source);
      for (let destination = B; destination < B + 16; destination++) {
        aead.seal(KEY, LOW, HIGH, destination, source, length);
        expect(at(destination, length + TAG_LENGTH).equals(sealed)).toBe(true);
        const back = source + PAGE;
        expect(aead.open(KEY, LOW, HIGH, back, destination, length)).toBe(true);
        expect(at(back, length).equals(plaintext)).toBe(true);
      }
    }
  });

  test('the nonce is four zero bytes and all 64 bits of the counter', () => {
    const plaintext = seededBytes(5)(48);
    bytes.set(plaintext, A);
    for (const [low, high] of [
      [0, 0],
      [0xffffffff, 0],
      [0, 1],
      [0x80000000, 0x7fffffff],
      [0xffffffff, 0xffffffff],
    ] as const) {
      aead.seal(KEY, low, high, B, A, 48);
      expect(at(B, 64)).toEqual(reference(key, low, high, plaintext));
      expect(aead.open(KEY, low, high, B, B, 48)).toBe(true);
    }
    aead.seal(KEY, 7, 1, B, A, 48);
    expect(aead.open(KEY, 7, 0, B, B, 48)).toBe(false);
  });

  test.each([0, 1, 15, 16, 64, 100, 192, 300, 449, 1000, 1420])(
    'refuses %i bytes with any bit of the tag or some bit of the ciphertext flipped',
    (length) => {
      bytes.set(seededBytes(6)(length), A);
      aead.seal(KEY, LOW, HIGH, B, A, length);
      const sealed = bytes.slice(B, B + length + TAG_LENGTH);
      const flips: [byte: number, bit: number][] = [];
      for (let byte = 0; byte < length; byte++) flips.push([byte, byte % 8]);
      for (let bit = 0; bit < 128; bit++) flips.push([length + (bit >> 3), bit % 8]);
      for (const [byte, bit] of flips) {
        sealed[byte]! ^= 1 << bit;
        bytes.set(sealed, B);
        const isAccepted =
          aead.open(KEY, LOW, HIGH, A, B, length) || aead.open(KEY, LOW, HIGH, B, B, length);
        expect(isAccepted, `byte ${byte} bit ${bit}`).toBe(false);
        sealed[byte]! ^= 1 << bit;
      }
      bytes.set(sealed, B);
      expect(aead.open(KEY, LOW, HIGH, A, B, length)).toBe(true);
    },
  );

  test('writes nothing outside the destination, its slack and the scratch', () => {
    const lengths = [0, 1, 16, 63, 100, 191, 200, 447, 449, 700, 960, 1001, 1420, 3000];
    for (const length of lengths) {
      for (const [source, destination] of [
        [A, B],
        [A + 3, A + 3],
      ] as const) {
        const run = (work: () => void, written: number): void => {
          const before = bytes.slice();
          work();
          const after = bytes.slice();
          const end = destination + written + SLACK;
          after.set(before.subarray(destination, end), destination);
          after.set(before.subarray(SCRATCH, SCRATCH + SCRATCH_LENGTH), SCRATCH);
          expect(Buffer.compare(before, after), `${length} bytes`).toBe(0);
        };
        bytes.fill(FILL, A);
        run(() => aead.seal(KEY, LOW, HIGH, destination, source, length), length + TAG_LENGTH);
        bytes.copyWithin(source, destination, destination + length + TAG_LENGTH);
        run(() => {
          expect(aead.open(KEY, LOW, HIGH, destination, source, length)).toBe(true);
        }, length);
      }
    }
  });

  test('works up to the last byte of the memory', () => {
    const end = PAGES * PAGE;
    for (const length of [0, 1, 17, 100, 300, 1420]) {
      const plaintext = seededBytes(7)(length);
      const destination = end - length - TAG_LENGTH;
      bytes.set(plaintext, A);
      aead.seal(KEY, LOW, HIGH, destination, A, length);
      const sealed = reference(key, LOW, HIGH, plaintext);
      expect(at(destination, length + TAG_LENGTH).equals(sealed)).toBe(true);
      expect(aead.open(KEY, LOW, HIGH, A, destination, length)).toBe(true);
      bytes.set(plaintext, end - length);
      aead.seal(KEY, LOW, HIGH, A, end - length, length);
      expect(at(A, length + TAG_LENGTH).equals(sealed)).toBe(true);
    }
  });

  // The vectors whose nonce begins with four zero bytes, without their associated data: the
  // ciphertext does not depend on it.
  const ciphertexts = [...rfc.chacha20, ...rfc.aead].filter(({ nonce }) => /^0{8}/.test(nonce));
  test.each(ciphertexts)('RFC 8439 $section', ({ key, nonce, plaintext, ciphertext }) => {
    const length = plaintext.length / 2;
    bytes.set(fromHex(key), KEY + 64);
    bytes.set(fromHex(plaintext), A);
    const view = new DataView(fromHex(nonce).buffer);
    const [low, high] = [view.getUint32(4, true), view.getUint32(8, true)];
    aead.seal(KEY + 64, low, high, B, A, length);
    expect(toHex(at(B, length))).toBe(ciphertext);
    expect(aead.open(KEY + 64, low, high, B, B, length)).toBe(true);
    expect(toHex(at(B, length))).toBe(plaintext);
  });

  test('agrees with noble and node:crypto on random packets', () => {
    fc.assert(
      fc.property(
        fc.record({
          seed: fc.integer(),
          length: fc.oneof(
            fc.integer({ min: 0, max: 2100 }),
            fc.integer({ min: 0, max: 140 }).map((blocks) => 64 * blocks),
            fc.integer({ min: 0, max: LARGE }),
          ),
          low: fc.integer({ min: 0, max: 0xffffffff }),
          high: fc.integer({ min: 0, max: 0xffffffff }),
          from: fc.nat(63),
          to: fc.nat(63),
          isInPlace: fc.boolean(),
        }),
        ({ seed, length, low, high, from, to, isInPlace }) => {
          const fuzzKey = seededBytes(seed)(32);
          const plaintext = seededBytes(seed + 1)(length);
          const sealed = reference(fuzzKey, low, high, plaintext);
          const noble = nobleProvider.aeadSeal(fuzzKey, counterOf(low, high), plaintext, NOTHING);
          expect(sealed.equals(noble)).toBe(true);

          const source = A + from;
          const destination = isInPlace ? source : B + to;
          bytes.set(fuzzKey, KEY + 128);
          bytes.set(plaintext, source);
          aead.seal(KEY + 128, low, high, destination, source, length);
          expect(at(destination, length + TAG_LENGTH).equals(sealed)).toBe(true);
          expect(aead.open(KEY + 128, low, high, destination, destination, length)).toBe(true);
          expect(at(destination, length).equals(plaintext)).toBe(true);
        },
      ),
      { numRuns: 150, seed: 20260731 },
    );
  });
});
