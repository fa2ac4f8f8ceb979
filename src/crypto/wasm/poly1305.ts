import { type Code, doWhile, type Local, type Locals, type Statement, when } from './assembler.ts';
import { i32, i64 } from './instructions.ts';

/**
 * Poly1305 (RFC 8439 section 2.5) in scalar 64-bit arithmetic, 16 multiplications per block.
 *
 * WebAssembly has no 64x64 -> 128 bit product, so limbs are 32 bits and products fit in an i64.
 * Between blocks the accumulator is h0 + h1 2^32 + h2 2^64 + h3 2^96 with 34 bits in h3, so that
 * what is above h3 counts 5 (2^130 = 5 mod 2^130 - 5).
 *
 * r is clamped (2.5.1): its limbs are below 2^28, and r1, r2, r3 are divisible by 4, so a product
 * that lands 2^128 too high comes back as s = 5 r / 4 exactly. In units of 2^32, the limbs that
 * enter a multiplication (message block added) are at most h0 < 3.04, h1 < 2, h2 < 2, h3 < 6;
 * the largest sum is h0 r0 + h1 s3 + h2 s2 + h3 s1 < (3.04 + 1.25 * 10) 2^60 < 2^64: nothing
 * overflows. h0's bound contains 5 (d3 >> 34) < 5 * 13.04 * 2^26 < 1.02 * 2^32.
 */
const LIMB_MASK = i64.const(0xffff_ffffn);
const TOP_LIMB_MASK = i64.const(0x3_ffff_ffffn);

/** Byte offsets in the state: limbs as 32-bit words, the accumulator as 64-bit ones. */
const R = 0;
const S = 16;
const PAD = 32;
const H = 48;
/** The bit above a full block, 2^128, as it is added to h3. */
const BLOCK_BIT = 80;
export const STATE_LENGTH = 96;

const CLAMP = [0x0fffffff, 0x0ffffffc, 0x0ffffffc, 0x0ffffffc];

/**
 * Starts a MAC: splits the one-time key (RFC 8439 section 2.6), whose 32-bit word i is at
 * `keyWords` + i * `stride`, into r and the pad.
 */
export function begin(
  locals: Locals,
  state: Code<'i32'>,
  keyWords: Code<'i32'>,
  stride: number,
): Statement[] {
  const limb = locals.new('i32');
  const limbs = [0, 1, 2, 3].flatMap((i) => [
    limb.set(i32.and(i32.load(keyWords, i * stride), i32.const(CLAMP[i]!))),
    i32.store(state, limb, R + 4 * i),
    i32.store(state, i32.add(limb, i32.shrU(limb, i32.const(2))), S + 4 * i),
    i32.store(state, i32.load(keyWords, (4 + i) * stride), PAD + 4 * i),
    i64.store(state, i64.const(0n), H + 8 * i),
  ]);
  return [...limbs, i64.store(state, i64.const(0x1_0000_0000n), BLOCK_BIT)];
}

type Limbs = [Local<'i64'>, Local<'i64'>, Local<'i64'>, Local<'i64'>];

export type Word = (index: number) => Code<'i64'>;

/** The four words of the 16 bytes at `address` + `offset`. */
export function wordsAt(address: Code<'i32'>, offset = 0): Word {
  return (index) => i64.load32u(address, offset + 4 * index);
}

/** The running MAC of one function: the accumulator and r in locals. */
export class Poly1305 {
  private readonly state: Code<'i32'>;
  private readonly r: Local<'i64'>[];
  private readonly s: Local<'i64'>[];
  private readonly h: Local<'i64'>[];
  private readonly d: Local<'i64'>[];
  /** Not a constant, which V8 would make anew for every block (223 ns against 249 for eight blocks). */
  private readonly blockBit: Local<'i64'>;
  private readonly multiply: Statement[][];

  constructor(locals: Locals, state: Code<'i32'>) {
    this.state = state;
    this.r = locals.many('i64', 4);
    this.s = locals.many('i64', 4);
    this.h = locals.many('i64', 4);
    this.d = locals.many('i64', 4);
    this.blockBit = locals.new('i64');
    this.multiply = this.multiplication();
  }

  load(): Statement[] {
    const limbs = [0, 1, 2, 3].flatMap((i) => [
      this.r[i]!.set(i64.load32u(this.state, R + 4 * i)),
      this.s[i]!.set(i64.load32u(this.state, S + 4 * i)),
      this.h[i]!.set(i64.load(this.state, H + 8 * i)),
    ]);
    return [...limbs, this.blockBit.set(i64.load(this.state, BLOCK_BIT))];
  }

  save(): Statement[] {
    return this.h.map((limb, i) => i64.store(this.state, limb, H + 8 * i));
  }

  /** h = (h + block) r, as a list of pieces that other work may be put between. */
  absorb(word: Word): Statement[][] {
    const add = this.h.map((limb, i) => {
      const value = word(i);
      return limb.set(i64.add(limb, i === 3 ? i64.add(value, this.blockBit) : value));
    });
    return [add, ...this.multiply];
  }

  /** h = h r, carried just so far that the next block can be added. */
  private multiplication(): Statement[][] {
    const [h0, h1, h2, h3] = this.h as Limbs;
    const [d0, d1, d2, d3] = this.d as Limbs;
    const shifted = (value: Code<'i64'>) => i64.shrU(value, i64.const(32n));
    const low = (value: Code<'i64'>) => i64.and(value, LIMB_MASK);
    return [
      [d0.set(this.column(0))],
      [d1.set(this.column(1))],
      [d2.set(this.column(2))],
      [d3.set(this.column(3))],
      [
        d1.set(i64.add(d1, shifted(d0))),
        d2.set(i64.add(d2, shifted(d1))),
        d3.set(i64.add(d3, shifted(d2))),
        h0.set(i64.add(low(d0), i64.mul(i64.shrU(d3, i64.const(34n)), i64.const(5n)))),
        h1.set(low(d1)),
        h2.set(low(d2)),
        h3.set(i64.and(d3, TOP_LIMB_MASK)),
      ],
    ];
  }

  /** Sum of the products that belong to limb `i`; h0 comes last out of the carries, so it is last. */
  private column(i: number): Code<'i64'> {
    const product = (j: number): Code<'i64'> =>
      i64.mul(this.h[j]!, j <= i ? this.r[i - j]! : this.s[4 + i - j]!);
    return i64.add(i64.add(i64.add(product(3), product(2)), product(1)), product(0));
  }
}

/** Absorbs the `length` bytes (a multiple of 16) at `message`. */
export function absorbAll(
  locals: Locals,
  state: Code<'i32'>,
  message: Local<'i32'>,
  length: Local<'i32'>,
): Statement[] {
  const poly = new Poly1305(locals, state);
  const end = locals.new('i32');
  return [
    when(length, [
      ...poly.load(),
      end.set(i32.add(message, length)),
      doWhile(
        [...poly.absorb(wordsAt(message)).flat(), message.set(i32.add(message, i32.const(16)))],
        i32.ne(message, end),
      ),
      ...poly.save(),
    ]),
  ];
}

/** Absorbs one block given as words. */
export function absorbWords(locals: Locals, state: Code<'i32'>, word: Word): Statement[] {
  const poly = new Poly1305(locals, state);
  return [...poly.load(), ...poly.absorb(word).flat(), ...poly.save()];
}

/** Stores the tag at `tag`: the accumulator modulo 2^130 - 5, plus the pad (RFC 8439 section 2.5.1). */
export function finish(locals: Locals, state: Code<'i32'>, tag: Code<'i32'>): Statement[] {
  const h = locals.many('i64', 4);
  const g = locals.many('i64', 4);
  const carry = locals.new('i64');
  const setCarry = (value: bigint): Statement => carry.set(i64.const(value));
  /** Carries through `limbs`; what is left above 2^130 is in `carry`. */
  const propagate = (limbs: Local<'i64'>[]): Statement[] =>
    limbs.flatMap((limb, i) => {
      const isTop = i === limbs.length - 1;
      return [
        limb.set(i64.add(limb, carry)),
        carry.set(i64.shrU(limb, i64.const(isTop ? 34n : 32n))),
        limb.set(i64.and(limb, isTop ? TOP_LIMB_MASK : LIMB_MASK)),
      ];
    });
  const timesFive = carry.set(i64.mul(carry, i64.const(5n)));
  return [
    ...h.map((limb, i) => limb.set(i64.load(state, H + 8 * i))),
    setCarry(0n),
    ...propagate(h),
    timesFive,
    ...propagate(h),
    timesFive,
    ...propagate(h),
    // g = h + 5 - 2^130, which replaces h if it is not negative: without a branch.
    ...g.map((limb, i) => limb.set(h[i]!)),
    setCarry(5n),
    ...propagate(g),
    carry.set(i64.sub(i64.const(0n), carry)), // all ones if h >= 2^130 - 5, else zero
    ...h.map((limb, i) => limb.set(i64.xor(limb, i64.and(i64.xor(limb, g[i]!), carry)))),
    // Plus the pad, modulo 2^128: what the last limb has beyond 32 bits is not stored.
    setCarry(0n),
    ...h.flatMap((limb, i) => [
      carry.set(i64.add(i64.add(limb, i64.load32u(state, PAD + 4 * i)), carry)),
      i64.store32(tag, carry, 4 * i),
      carry.set(i64.shrU(carry, i64.const(32n))),
    ]),
  ];
}
