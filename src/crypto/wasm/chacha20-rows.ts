import { type Code, doWhile, type Local, type Locals, type Statement } from './assembler.ts';
import { BLOCK_LENGTH, CONSTANTS, DOUBLE_ROUNDS, Rotation } from './chacha20.ts';
import { i8x16, i32, i32x4, v128 } from './instructions.ts';

/** With four rows each, and what else is needed, these fill V8's 15 registers. */
const BLOCKS = 3;
export const ROWS_KEYSTREAM_LENGTH = BLOCKS * BLOCK_LENGTH;

/** Rotates the four words of a row to the left by `places`, as a shuffle of bytes. */
function rotatedRow(row: Local<'v128'>, places: number): Code<'v128'> {
  const bytes = Array.from({ length: 16 }, (_, i) => (i + 4 * places) % 16);
  return i8x16.shuffle(row, row, bytes);
}

type Input = 'key' | 'nonceLow' | 'nonceHigh' | 'out';

/**
 * ChaCha20 (RFC 8439 section 2.3) by rows: a vector holds four words of one block, all four columns
 * are quarter-rounded at once, and for the diagonals the rows are rotated (as the matrix of 2.3 is
 * read). Makes blocks 0 to 2 of a keystream, in the order of their bytes, at `out`.
 *
 * For packets that need no more this takes 126 ns, against 158 for four blocks word by word and 171
 * for eight, as no vector has to wait in memory; and nothing has to be transposed.
 */
export function threeBlocks(
  locals: Locals,
  { key, nonceLow, nonceHigh, out }: Readonly<Record<Input, Code<'i32'>>>,
): Statement[] {
  const rotation = new Rotation(locals, true);
  const temporary = locals.new('v128');
  const nonce = locals.new('v128');
  const left = locals.new('i32');
  const blocks = Array.from({ length: BLOCKS }, () => locals.many('v128', 4));

  const initialRow = (row: number, block: number): Code<'v128'> => {
    if (row === 0) return i32x4.const(CONSTANTS);
    if (row < 3) return v128.load(key, 16 * (row - 1));
    return i32x4.add(nonce, i32x4.const([block, 0, 0, 0]));
  };
  const eachRow = (make: (value: Local<'v128'>, row: number, block: number) => Statement) =>
    blocks.flatMap((rows, block) => rows.map((value, row) => make(value, row, block)));

  const addXorRotate = (sum: number, addend: number, target: number, bits: number): Statement[] =>
    blocks.flatMap((rows) => [
      rows[sum]!.set(i32x4.add(rows[sum]!, rows[addend]!)),
      temporary.set(v128.xor(rows[target]!, rows[sum]!)),
      rows[target]!.set(rotation.apply(temporary, bits)),
    ]);
  const quarterRounds = [
    ...addXorRotate(0, 1, 3, 16),
    ...addXorRotate(2, 3, 1, 12),
    ...addXorRotate(0, 1, 3, 8),
    ...addXorRotate(2, 3, 1, 7),
  ];
  /** Brings the diagonals into columns, or with -1 back. */
  const diagonals = (direction: 1 | -1): Statement[] =>
    blocks.flatMap((rows) =>
      [1, 2, 3].map((row) => rows[row]!.set(rotatedRow(rows[row]!, (4 + direction * row) % 4))),
    );

  return [
    ...rotation.initialise(),
    nonce.set(
      i32x4.replaceLane(i32x4.replaceLane(i32x4.const([0, 0, 0, 0]), 2, nonceLow), 3, nonceHigh),
    ),
    ...eachRow((value, row, block) => value.set(initialRow(row, block))),
    left.set(i32.const(DOUBLE_ROUNDS)),
    doWhile(
      [
        ...quarterRounds,
        ...diagonals(1),
        ...quarterRounds,
        ...diagonals(-1),
        left.set(i32.sub(left, i32.const(1))),
      ],
      left,
    ),
    ...eachRow((value, row, block) =>
      v128.store(out, i32x4.add(value, initialRow(row, block)), block * BLOCK_LENGTH + row * 16),
    ),
  ];
}
