import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ModuleAssembler } from '../../../src/crypto/wasm/assembler.ts';
import { absorbAll, begin, finish } from '../../../src/crypto/wasm/poly1305.ts';
import { fromHex, readVectors, toHex } from '../../lab/vectors.ts';

/** Poly1305 alone, where packets cannot reach: keys and messages at the edges of the reduction. */

const STATE = 1024;
const KEY = 2048;
const TAG = 2112;
const MESSAGE = 4096;

interface Poly {
  begin(key: number): void;
  absorb(message: number, length: number): void;
  finish(tag: number): void;
}

function setUp() {
  const module = new ModuleAssembler(1);
  const state = module.scratch;
  module.define({ key: 'i32' }, 'void', ({ key }, l) => begin(l, state, key, 4), 'begin');
  module.define(
    { message: 'i32', length: 'i32' },
    'void',
    ({ message, length }, locals) => absorbAll(locals, state, message, length),
    'absorb',
  );
  module.define({ tag: 'i32' }, 'void', ({ tag }, l) => finish(l, state, tag), 'finish');
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.assemble('poly1305')), {
    env: { memory, scratch: STATE },
  });
  return { poly: instance.exports as unknown as Poly, bytes: new Uint8Array(memory.buffer) };
}

const { poly, bytes } = setUp();

/** Whole blocks only, as the kernel absorbs them. */
function mac(key: Uint8Array, message: Uint8Array): string {
  bytes.set(key, KEY);
  bytes.set(message, MESSAGE);
  poly.begin(KEY);
  poly.absorb(MESSAGE, message.length);
  poly.finish(TAG);
  return toHex(bytes.slice(TAG, TAG + 16));
}

const toNumber = (little: Uint8Array): bigint =>
  little.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);

/** RFC 8439 section 2.5.1, word for word. */
function obviousMac(key: Uint8Array, message: Uint8Array): string {
  const p = (1n << 130n) - 5n;
  const r = toNumber(key.slice(0, 16)) & 0x0ffffffc0ffffffc0ffffffc0fffffffn;
  let accumulator = 0n;
  for (let i = 0; i < message.length; i += 16) {
    const block = toNumber(message.slice(i, i + 16)) + (1n << 128n);
    accumulator = ((accumulator + block) * r) % p;
  }
  const tag = (accumulator + toNumber(key.slice(16, 32))) & ((1n << 128n) - 1n);
  return toHex(fromHex(tag.toString(16).padStart(32, '0')).toReversed());
}

const vectors = readVectors<{
  poly1305: { section: string; key: string; message: string; tag: string }[];
}>('rfc8439.json').poly1305.filter(({ message }) => message.length % 32 === 0);

test.each(vectors)('RFC 8439 $section', ({ key, message, tag }) => {
  expect(mac(fromHex(key), fromHex(message))).toBe(tag);
});

test('the largest r and message overflow no limb, however long', () => {
  const key = new Uint8Array(32).fill(0xff);
  for (const fill of [0xff, 0xfe, 0x00, 0x80]) {
    const message = new Uint8Array(16 * 1000).fill(fill);
    expect(mac(key, message)).toBe(obviousMac(key, message));
  }
});

test('equals arithmetic on big integers, with bytes at the edges of their range', () => {
  const edge = fc.oneof(fc.constantFrom(0, 1, 3, 0xfb, 0xfc, 0xfd, 0xfe, 0xff), fc.nat(255));
  const bytesOf = (length: number) => fc.array(edge, { minLength: length, maxLength: length });
  fc.assert(
    fc.property(
      bytesOf(32),
      fc.nat(40).chain((blocks) => bytesOf(16 * blocks)),
      (key, message) => {
        const [k, m] = [Uint8Array.from(key), Uint8Array.from(message)];
        expect(mac(k, m)).toBe(obviousMac(k, m));
      },
    ),
    { numRuns: 500 },
  );
});
