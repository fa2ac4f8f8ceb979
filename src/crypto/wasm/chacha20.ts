import type { Code, Local, Locals, Statement } from './assembler.ts';
import { i8x16, i32, i32x4, v128 } from './instructions.ts';

/**
 * ChaCha20 (RFC 8439 section 2.3), eight blocks at once: word i of the blocks is in two vectors, of
 * blocks 0..3 in half 0 and of blocks 4..7 in half 1.
 */

export const BLOCK_LENGTH = 64;

/** "expand 32-byte k" (RFC 8439 section 2.3). */
export const CONSTANTS = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574] as const;
const COUNTER_WORD = 12;

/** The four column quarter rounds, then the four diagonal ones (RFC 8439 section 2.3). */
const QUARTER_ROUNDS = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
] as const;
export const DOUBLE_ROUNDS = 10;

const HALVES = 2;
/** Bytes per word of state in an untransposed keystream. */
export const WORD_STRIDE = HALVES * 16;
/** Length of an untransposed keystream of eight blocks. */
export const KEYSTREAM_LENGTH = 16 * WORD_STRIDE;

export interface ChaChaInput {
  readonly key: Code<'i32'>;
  readonly nonceLow: Code<'i32'>;
  readonly nonceHigh: Code<'i32'>;
  /** Block counter of the first block. */
  readonly counter: Code<'i32'>;
}

export class ChaCha20 {
  private readonly input: ChaChaInput;
  private readonly rotation: Rotation;
  private readonly words: Local<'v128'>[][];
  private readonly counters: Local<'v128'>[];
  private readonly temporaries: Local<'v128'>[];

  constructor(locals: Locals, rotation: Rotation, input: ChaChaInput) {
    this.input = input;
    this.rotation = rotation;
    this.words = Array.from({ length: 16 }, () => locals.many('v128', HALVES));
    this.counters = locals.many('v128', HALVES);
    this.temporaries = locals.many('v128', HALVES);
  }

  /** Sets up the state. */
  initialise(): Statement[] {
    const setCounters = this.counters.map((counters, half) =>
      counters.set(
        i32x4.add(
          i32x4.splat(this.input.counter),
          i32x4.const([4 * half, 4 * half + 1, 4 * half + 2, 4 * half + 3]),
        ),
      ),
    );
    const setWords = this.words.flatMap((halves, word) =>
      halves.map((value, half) => value.set(this.initialWord(word, half))),
    );
    return [...this.rotation.initialise(), ...setCounters, ...setWords];
  }

  /**
   * One double round, as a list of pieces that other work may be put between. Quarter rounds are
   * independent by fours; two are executed in step, so that the processor need not look far ahead
   * for something to do. With Poly1305: 223 ns, one after the other 242; by fours, which makes more
   * vectors wait in memory, 235.
   */
  doubleRound(): Statement[][] {
    const pieces: Statement[][] = [];
    for (let i = 0; i < QUARTER_ROUNDS.length; i += 2) {
      const first = this.quarterRound(QUARTER_ROUNDS[i]!);
      const second = this.quarterRound(QUARTER_ROUNDS[i + 1]!);
      for (let step = 0; step < 4; step++) pieces.push(first[step]!, second[step]!);
    }
    return pieces;
  }

  /**
   * Adds the initial state and stores the keystream at `out`, not transposed: word i of the blocks
   * is at i * WORD_STRIDE. The two halves are neighbours because that is where V8's
   * revectorisation starts to look for pairs of 128-bit operations to join; it gives up on pairs
   * of loads with a store between, hence everything is added before anything is stored
   * (eight blocks: 171 ns against 191).
   */
  store(out: Code<'i32'>): Statement[] {
    const each = (make: (value: Local<'v128'>, word: number, half: number) => Statement) =>
      this.words.flatMap((halves, word) => halves.map((value, half) => make(value, word, half)));
    return [
      ...each((value, word, half) => value.set(i32x4.add(value, this.initialWord(word, half)))),
      ...each((value, word, half) => v128.store(out, value, word * WORD_STRIDE + half * 16)),
    ];
  }

  private initialWord(word: number, half: number): Code<'v128'> {
    if (word < 4) {
      const constant = CONSTANTS[word]!;
      return i32x4.const([constant, constant, constant, constant]);
    }
    if (word < COUNTER_WORD) return v128.load32Splat(this.input.key, 4 * (word - 4));
    if (word === COUNTER_WORD) return this.counters[half]!;
    // The 96-bit nonce: four zero bytes and the 64-bit counter of the packet (paper 5.4.6).
    if (word === COUNTER_WORD + 1) return i32x4.const([0, 0, 0, 0]);
    const nonce = word === COUNTER_WORD + 2 ? this.input.nonceLow : this.input.nonceHigh;
    return i32x4.splat(nonce);
  }

  /** RFC 8439 section 2.1, in its four steps. */
  private quarterRound([a, b, c, d]: readonly [number, number, number, number]): Statement[][] {
    return [
      this.addXorRotate(a, b, d, 16),
      this.addXorRotate(c, d, b, 12),
      this.addXorRotate(a, b, d, 8),
      this.addXorRotate(c, d, b, 7),
    ];
  }

  /** sum += addend; target = (target ^ sum) <<< bits. */
  private addXorRotate(sum: number, addend: number, target: number, bits: number): Statement[] {
    const each = (make: (half: number) => Statement) =>
      this.temporaries.map((_, half) => make(half));
    const word = (index: number, half: number): Local<'v128'> => this.words[index]![half]!;
    return [
      ...each((half) => word(sum, half).set(i32x4.add(word(sum, half), word(addend, half)))),
      ...each((half) => {
        return this.temporaries[half]!.set(v128.xor(word(target, half), word(sum, half)));
      }),
      ...each((half) => word(target, half).set(this.rotation.apply(this.temporaries[half]!, bits))),
    ];
  }
}

/** Rotation of 32-bit words. */
export class Rotation {
  private readonly masks: ReadonlyMap<number, Local<'v128'>>;

  /**
   * With `shuffles`, rotations by 16 and 8 shuffle bytes: one operation instead of three. Not where V8
   * is to join the halves, which it cannot do then (eight blocks: 300 ns against 171). The masks are
   * in locals because V8 would make constants anew at each use.
   */
  constructor(locals: Locals, shuffles: boolean) {
    const shuffled = shuffles ? [16, 8] : [];
    this.masks = new Map(shuffled.map((bits) => [bits, locals.new('v128')]));
  }

  initialise(): Statement[] {
    return [...this.masks].map(([bits, mask]) => {
      const bytes = Array.from({ length: 16 }, (_, i) => (i & ~3) | ((i + 4 - bits / 8) & 3));
      return mask.set(v128.const(bytes));
    });
  }

  apply(value: Local<'v128'>, bits: number): Code<'v128'> {
    const mask = this.masks.get(bits);
    if (mask !== undefined) return i8x16.swizzle(value, mask);
    return v128.or(i32x4.shl(value, i32.const(bits)), i32x4.shrU(value, i32.const(32 - bits)));
  }
}

const LOW_WORDS = [0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23];
const HIGH_WORDS = [8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31];
const LOW_HALVES = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23];
const HIGH_HALVES = [8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31];

type Vector = Local<'v128'>;
type Vectors = [Vector, Vector, Vector, Vector, Vector, Vector, Vector, Vector];

/**
 * Transposes four blocks of the keystream at `keystream` (one half; add 16 for the other) and gives
 * each 16 bytes to `use` with their offset in the 256 bytes.
 */
export function transposed(
  locals: Locals,
  keystream: Code<'i32'>,
  use: (bytes: Code<'v128'>, offset: number) => Statement,
): Statement[] {
  const [a, b, c, d, t0, t1, t2, t3] = Array.from({ length: 8 }, () =>
    locals.new('v128'),
  ) as Vectors;
  const rows = [a, b, c, d];
  return [0, 1, 2, 3].flatMap((quarter) => {
    const at = quarter * 16;
    return [
      ...rows.map((row, i) => row.set(v128.load(keystream, (4 * quarter + i) * WORD_STRIDE))),
      t0.set(i8x16.shuffle(a, b, LOW_WORDS)),
      t1.set(i8x16.shuffle(c, d, LOW_WORDS)),
      t2.set(i8x16.shuffle(a, b, HIGH_WORDS)),
      t3.set(i8x16.shuffle(c, d, HIGH_WORDS)),
      use(i8x16.shuffle(t0, t1, LOW_HALVES), at),
      use(i8x16.shuffle(t0, t1, HIGH_HALVES), at + BLOCK_LENGTH),
      use(i8x16.shuffle(t2, t3, LOW_HALVES), at + 2 * BLOCK_LENGTH),
      use(i8x16.shuffle(t2, t3, HIGH_HALVES), at + 3 * BLOCK_LENGTH),
    ];
  });
}
