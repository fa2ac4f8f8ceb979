import { type Code, code, type Statement, signed, unsigned, type ValueType } from './assembler.ts';

/**
 * The instructions that the kernel uses, by their names in the WebAssembly core specification (5.4).
 * Memory instructions take a constant byte offset that is added to the address without wrapping, and
 * claim no alignment.
 */
type Binary<T extends ValueType, R extends ValueType = T> = (a: Code<T>, b: Code<T>) => Code<R>;
type Load<T extends ValueType> = (address: Code<'i32'>, offset?: number) => Code<T>;
type Store<T extends ValueType> = (
  address: Code<'i32'>,
  value: Code<T>,
  offset?: number,
) => Statement;
type Shift = (a: Code<'v128'>, bits: Code<'i32'>) => Code<'v128'>;

const UNALIGNED = 0;

function binary<T extends ValueType, R extends ValueType>(
  result: R,
  ...opcode: number[]
): Binary<T, R> {
  return (a, b) => code(result, a.bytes, b.bytes, opcode);
}
function unary<T extends ValueType, R extends ValueType>(
  result: R,
  ...opcode: number[]
): (a: Code<T>) => Code<R> {
  return (a) => code(result, a.bytes, opcode);
}
function load<T extends ValueType>(result: T, ...opcode: number[]): Load<T> {
  return (address, offset = 0) => code(result, address.bytes, opcode, UNALIGNED, unsigned(offset));
}
function store<T extends ValueType>(...opcode: number[]): Store<T> {
  return (address, value, offset = 0) =>
    code('void', address.bytes, value.bytes, opcode, UNALIGNED, unsigned(offset));
}

export const i32 = {
  const: (value: number): Code<'i32'> => code('i32', 0x41, signed(BigInt(value | 0))),
  load: load('i32', 0x28),
  load8u: load('i32', 0x2d),
  load16u: load('i32', 0x2f),
  store: store<'i32'>(0x36),
  store8: store<'i32'>(0x3a),
  store16: store<'i32'>(0x3b),
  eqz: unary<'i32', 'i32'>('i32', 0x45),
  eq: binary<'i32', 'i32'>('i32', 0x46),
  ne: binary<'i32', 'i32'>('i32', 0x47),
  ltU: binary<'i32', 'i32'>('i32', 0x49),
  gtU: binary<'i32', 'i32'>('i32', 0x4b),
  geU: binary<'i32', 'i32'>('i32', 0x4f),
  add: binary<'i32', 'i32'>('i32', 0x6a),
  sub: binary<'i32', 'i32'>('i32', 0x6b),
  mul: binary<'i32', 'i32'>('i32', 0x6c),
  and: binary<'i32', 'i32'>('i32', 0x71),
  xor: binary<'i32', 'i32'>('i32', 0x73),
  shl: binary<'i32', 'i32'>('i32', 0x74),
  shrU: binary<'i32', 'i32'>('i32', 0x76),
  rotr: binary<'i32', 'i32'>('i32', 0x78),
  wrap: unary<'i64', 'i32'>('i32', 0xa7),
  /** `a` if `condition` is not zero, else `b`. */
  select: (a: Code<'i32'>, b: Code<'i32'>, condition: Code<'i32'>): Code<'i32'> =>
    code('i32', a.bytes, b.bytes, condition.bytes, 0x1b),
};

export const i64 = {
  const: (value: bigint): Code<'i64'> => code('i64', 0x42, signed(BigInt.asIntN(64, value))),
  load: load('i64', 0x29),
  load32u: load('i64', 0x35),
  store: store<'i64'>(0x37),
  store32: store<'i64'>(0x3e),
  add: binary<'i64', 'i64'>('i64', 0x7c),
  sub: binary<'i64', 'i64'>('i64', 0x7d),
  mul: binary<'i64', 'i64'>('i64', 0x7e),
  and: binary<'i64', 'i64'>('i64', 0x83),
  xor: binary<'i64', 'i64'>('i64', 0x85),
  shrU: binary<'i64', 'i64'>('i64', 0x88),
  extend: unary<'i32', 'i64'>('i64', 0xad),
  extendSigned: unary<'i32', 'i64'>('i64', 0xac),
};

const simd = (opcode: number): number[] => [0xfd, ...unsigned(opcode)];
const shift =
  (opcode: number): Shift =>
  (a, bits) =>
    code('v128', a.bytes, bits.bytes, simd(opcode));

export const v128 = {
  /** 16 bytes. */
  const: (bytes: readonly number[]): Code<'v128'> => code('v128', simd(0x0c), bytes),
  load: load('v128', ...simd(0x00)),
  load32Splat: load('v128', ...simd(0x09)),
  store: store<'v128'>(...simd(0x0b)),
  and: binary<'v128', 'v128'>('v128', ...simd(0x4e)),
  or: binary<'v128', 'v128'>('v128', ...simd(0x50)),
  xor: binary<'v128', 'v128'>('v128', ...simd(0x51)),
  anyTrue: unary<'v128', 'i32'>('i32', ...simd(0x53)),
};

export const i8x16 = {
  splat: unary<'i32', 'v128'>('v128', ...simd(0x0f)),
  /** Bytes of `a` (0..15) and `b` (16..31) by constant index. */
  shuffle: (a: Code<'v128'>, b: Code<'v128'>, lanes: readonly number[]): Code<'v128'> =>
    code('v128', a.bytes, b.bytes, simd(0x0d), lanes),
  /** Bytes of `a` by index; an index of 16 or more gives zero. */
  swizzle: binary<'v128', 'v128'>('v128', ...simd(0x0e)),
  ltU: binary<'v128', 'v128'>('v128', ...simd(0x26)),
  add: binary<'v128', 'v128'>('v128', ...simd(0x6e)),
};

export const i32x4 = {
  const: (lanes: readonly [number, number, number, number]): Code<'v128'> =>
    v128.const([...new Uint8Array(Uint32Array.from(lanes).buffer)]),
  splat: unary<'i32', 'v128'>('v128', ...simd(0x11)),
  extractLane: (a: Code<'v128'>, lane: number): Code<'i32'> =>
    code('i32', a.bytes, simd(0x1b), lane),
  replaceLane: (a: Code<'v128'>, lane: number, value: Code<'i32'>): Code<'v128'> =>
    code('v128', a.bytes, value.bytes, simd(0x1c), lane),
  shl: shift(0xab),
  shrU: shift(0xad),
  add: binary<'v128', 'v128'>('v128', ...simd(0xae)),
  dotI16x8: binary<'v128', 'v128'>('v128', ...simd(0xba)),
};
