import { doWhile, type Local, ModuleAssembler, type Statement } from './assembler.ts';
import { i32 } from './instructions.ts';

/**
 * BLAKE2s (RFC 7693) as a WebAssembly function. Handshakes hash a hundred short inputs each; a call
 * into OpenSSL costs more than the hash itself.
 */

/** Initialization vector, RFC 7693 section 2.6. */
const IV = [
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
];
/** Message schedule, section 2.7: ten permutations of the message words. */
const SIGMA = [
  [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
  [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
  [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
  [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
  [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
  [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
  [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
  [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
  [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
  [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
];
/** Columns, then diagonals (section 3.2). */
const MIXES = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
] as const;

const BLOCK_LENGTH = 64;
const OUTPUT_LENGTH = 32;
/** One page is enough: the longest input of a handshake has a few hundred bytes. */
const PAGES = 1;
/** Where the hash is left. */
const OUTPUT = 0;
/** Where inputs are put. */
const INPUT = BLOCK_LENGTH;
const MAX_INPUT = PAGES * 65536 - INPUT - BLOCK_LENGTH;

/** G of section 3.1. */
function mix(v: Local<'i32'>[], [a, b, c, d]: readonly number[], x: Local<'i32'>, y: Local<'i32'>) {
  const [va, vb, vc, vd] = [v[a!]!, v[b!]!, v[c!]!, v[d!]!];
  const turn = (word: Local<'i32'>, by: Local<'i32'>, bits: number): Statement =>
    word.set(i32.rotr(i32.xor(word, by), i32.const(bits)));
  return [
    va.set(i32.add(i32.add(va, vb), x)),
    turn(vd, va, 16),
    vc.set(i32.add(vc, vd)),
    turn(vb, vc, 12),
    va.set(i32.add(i32.add(va, vb), y)),
    turn(vd, va, 8),
    vc.set(i32.add(vc, vd)),
    turn(vb, vc, 7),
  ];
}

/**
 * hash(length, parameter): hashes `length` bytes at INPUT, behind which the block is filled up with
 * zeros, to OUTPUT. `parameter` is the first word of the parameter block (section 2.5).
 */
function assembleBlake2s(): Uint8Array {
  const module = new ModuleAssembler(PAGES);
  module.define(
    { length: 'i32', parameter: 'i32' },
    'void',
    ({ length, parameter }, locals) => {
      const h = locals.many('i32', 8);
      const v = locals.many('i32', 16);
      const m = locals.many('i32', 16);
      const source = locals.new('i32');
      const hashed = locals.new('i32');
      const isLast = locals.new('i32');
      const start = h.map((word, i) =>
        word.set(i === 0 ? i32.xor(i32.const(IV[0]!), parameter) : i32.const(IV[i]!)),
      );
      const compress = [
        isLast.set(i32.sub(i32.const(0), i32.ltU(length, i32.const(BLOCK_LENGTH + 1)))),
        hashed.set(i32.add(hashed, i32.select(length, i32.const(BLOCK_LENGTH), isLast))),
        ...m.map((word, i) => word.set(i32.load(source, 4 * i))),
        ...h.map((word, i) => v[i]!.set(word)),
        ...IV.slice(0, 4).map((word, i) => v[8 + i]!.set(i32.const(word))),
        v[12]!.set(i32.xor(i32.const(IV[4]!), hashed)),
        v[13]!.set(i32.const(IV[5]!)), // inputs never reach 2^32 bytes
        v[14]!.set(i32.xor(i32.const(IV[6]!), isLast)),
        v[15]!.set(i32.const(IV[7]!)),
        ...SIGMA.flatMap((order) =>
          MIXES.flatMap((words, i) => mix(v, words, m[order[2 * i]!]!, m[order[2 * i + 1]!]!)),
        ),
        ...h.map((word, i) => word.set(i32.xor(word, i32.xor(v[i]!, v[i + 8]!)))),
        source.set(i32.add(source, i32.const(BLOCK_LENGTH))),
        length.set(i32.sub(length, i32.const(BLOCK_LENGTH))),
      ];
      return [
        ...start,
        source.set(i32.const(INPUT)),
        doWhile(compress, i32.eqz(isLast)),
        ...h.map((word, i) => i32.store(i32.const(OUTPUT), word, 4 * i)),
      ];
    },
    'hash',
  );
  return module.assemble('blake2s');
}

/** BLAKE2s-256, HMAC over it, and keyed BLAKE2s with 16 bytes of output. */
export interface Blake2s {
  hash(...parts: Uint8Array[]): Uint8Array;
  /** HMAC (RFC 2104). */
  hmac(key: Uint8Array, ...parts: Uint8Array[]): Uint8Array;
  /** Keyed mode, 16-byte output; the key has at most 32 bytes. */
  mac(key: Uint8Array, ...parts: Uint8Array[]): Uint8Array;
}

/** Compiles the function. Throws where there is no WebAssembly with shared memory. */
export function createBlake2s(): Blake2s {
  const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });
  const module = new WebAssembly.Module(assembleBlake2s());
  const instance = new WebAssembly.Instance(module, { env: { memory, scratch: 0 } });
  const run = instance.exports.hash as (length: number, parameter: number) => void;
  const u8 = new Uint8Array(memory.buffer);

  /** Puts the parts one behind the other from `at` on; returns where they end. */
  const put = (at: number, parts: readonly Uint8Array[]): number => {
    let end = at;
    for (const part of parts) {
      if (end + part.length > INPUT + MAX_INPUT) throw new RangeError('input too long');
      u8.set(part, end);
      end += part.length;
    }
    return end;
  };
  /** Hashes what lies from INPUT to `end` and leaves no input behind. */
  const finish = (end: number, keyLength: number, outputLength: number): Uint8Array => {
    u8.fill(0, end, end + BLOCK_LENGTH);
    run(end - INPUT, 0x01010000 | (keyLength << 8) | outputLength);
    u8.fill(0, INPUT, end);
    return u8.slice(OUTPUT, OUTPUT + outputLength);
  };
  const pad = (key: Uint8Array, byte: number): void => {
    for (let i = 0; i < BLOCK_LENGTH; i++) u8[INPUT + i] = (key[i] ?? 0) ^ byte;
  };
  return {
    hash: (...parts) => finish(put(INPUT, parts), 0, OUTPUT_LENGTH),
    hmac(longKey, ...parts) {
      const key = longKey.length > BLOCK_LENGTH ? this.hash(longKey) : longKey;
      pad(key, 0x36);
      const inner = finish(put(INPUT + BLOCK_LENGTH, parts), 0, OUTPUT_LENGTH);
      pad(key, 0x5c);
      return finish(put(INPUT + BLOCK_LENGTH, [inner]), 0, OUTPUT_LENGTH);
    },
    mac(key, ...parts) {
      if (key.length > 32) throw new RangeError('key too long');
      u8.fill(0, INPUT, INPUT + BLOCK_LENGTH);
      u8.set(key, INPUT);
      return finish(put(INPUT + BLOCK_LENGTH, parts), key.length, 16);
    },
  };
}
