import {
  type Code,
  doWhile,
  type Func,
  type ModuleAssembler,
  type Statement,
  when,
} from './assembler.ts';
import { ChaCha20, DOUBLE_ROUNDS, Rotation } from './chacha20.ts';
import { i32 } from './instructions.ts';
import { Poly1305, wordsAt } from './poly1305.ts';

/** Poly1305 blocks absorbed in one double round of ChaCha20. */
const BLOCKS_PER_UNIT = 4;
const UNIT_LENGTH = BLOCKS_PER_UNIT * 16;
export const UNIT_SHIFT = 6;
/** The last double round absorbs nothing: its loop is then never empty, which V8 compiles better. */
export const MAX_UNITS = DOUBLE_ROUNDS - 1;

const SIGNATURE = {
  key: 'i32',
  low: 'i32',
  high: 'i32',
  counter: 'i32',
  out: 'i32',
  message: 'i32',
  units: 'i32',
} as const;

/**
 * Makes a keystream of eight blocks, not transposed, from block `counter` on, and absorbs `units` (at most MAX_UNITS)
 * times 64 bytes at `message` meanwhile.
 */
export type Keystream = Func<typeof SIGNATURE, 'void'>;

/**
 * Defines that function. `revectorized`: whether V8 will join pairs of 128-bit operations; it decides
 * how words are rotated.
 */
export function defineKeystream(
  module: ModuleAssembler,
  polyState: Code<'i32'>,
  revectorized: boolean,
): Keystream {
  return module.define(
    SIGNATURE,
    'void',
    ({ key, low, high, counter, out, message, units }, locals) => {
      const chacha = new ChaCha20(locals, new Rotation(locals, !revectorized), {
        key,
        nonceLow: low,
        nonceHigh: high,
        counter,
      });
      const doubleRound = chacha.doubleRound();
      const poly = new Poly1305(locals, polyState);
      const absorbUnit = Array.from({ length: BLOCKS_PER_UNIT }, (_, block) =>
        poly.absorb(wordsAt(message, block * 16)),
      ).flat();
      const left = locals.new('i32');
      return [
        ...chacha.initialise(),
        left.set(i32.sub(i32.const(DOUBLE_ROUNDS), units)),
        when(units, [
          ...poly.load(),
          doWhile(
            [
              ...interleaved(doubleRound, absorbUnit),
              message.set(i32.add(message, i32.const(UNIT_LENGTH))),
              units.set(i32.sub(units, i32.const(1))),
            ],
            units,
          ),
          ...poly.save(),
        ]),
        doWhile([...doubleRound.flat(), left.set(i32.sub(left, i32.const(1)))], left),
        ...chacha.store(out),
      ];
    },
  );
}

/** Puts the pieces of `background` evenly between those of `foreground`. */
function interleaved(foreground: Statement[][], background: Statement[][]): Statement[] {
  let taken = 0;
  return foreground.flatMap((piece, index) => {
    const until = Math.round(((index + 1) * background.length) / foreground.length);
    const between = background.slice(taken, until).flat();
    taken = until;
    return [...piece, ...between];
  });
}
