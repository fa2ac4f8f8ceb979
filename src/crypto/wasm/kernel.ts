import {
  type Code,
  doWhile,
  type Local,
  leave,
  ModuleAssembler,
  type Statement,
  when,
  whileTrue,
} from './assembler.ts';
import {
  BLOCK_LENGTH,
  ChaCha20,
  DOUBLE_ROUNDS,
  KEYSTREAM_LENGTH,
  transposed,
  WORD_STRIDE,
} from './chacha20.ts';
import { i8x16, i32, i64, v128 } from './instructions.ts';
import { defineMemoryFunctions } from './memory-functions.ts';
import {
  absorbAll,
  absorbWords,
  begin,
  finish,
  Poly1305,
  STATE_LENGTH,
  wordsAt,
} from './poly1305.ts';

/**
 * ChaCha20-Poly1305 (RFC 8439 section 2.8) without associated data: `seal` and `open`.
 *
 * The keystream is made eight blocks (512 bytes) at a time, the first block being the one-time key
 * of Poly1305, so 448 bytes of the packet come with the first eight. Poly1305 is scalar and ChaCha20
 * is vector arithmetic: every double round of ChaCha20 also absorbs up to UNIT bytes of ciphertext,
 * which the processor executes side by side. `seal` absorbs what it encrypted a step before; `open`
 * absorbs the ciphertext ahead and encrypts one step later, so that a packet may be opened in place.
 */

/** Layout of the scratch memory (byte offsets). */
const POLY_STATE = 0;
const TAG = STATE_LENGTH;
/** The last, partial block of ciphertext, padded with zeros. */
const PADDED = TAG + 16;
/** Two untransposed keystreams; `open` alternates between them. */
const KEYSTREAM = 128;
/** A keystream in the order of its bytes. */
const LINEAR = KEYSTREAM + 2 * KEYSTREAM_LENGTH;

const HALF_LENGTH = 4 * BLOCK_LENGTH;
const FULL_LENGTH = 8 * BLOCK_LENGTH;
/** What the first keystream leaves for the packet when the one-time key is taken off. */
const FIRST_FULL = FULL_LENGTH - BLOCK_LENGTH;

/** Poly1305 blocks absorbed in one double round. */
const BLOCKS_PER_UNIT = 4;
const UNIT = BLOCKS_PER_UNIT * 16;
const UNIT_SHIFT = 6;

const ascending = v128.const(Array.from({ length: 16 }, (_, i) => i));

/** Bytes of the module that exports seal, open, sum, copy and copySum. */
export function assembleKernel(maximumPages: number, label: string): Uint8Array {
  const module = new ModuleAssembler(maximumPages);
  const scratch = module.scratch;
  const at = (offset: number): Code<'i32'> => i32.add(scratch, i32.const(offset));

  /** Keystream of four or eight blocks to `out`, absorbing `units` * UNIT bytes at `message`. */
  const defineKeystream = (halves: 1 | 2) =>
    module.define(
      {
        key: 'i32',
        low: 'i32',
        high: 'i32',
        counter: 'i32',
        out: 'i32',
        message: 'i32',
        units: 'i32',
      },
      'void',
      ({ key, low, high, counter, out, message, units }, locals) => {
        const chacha = new ChaCha20(locals, halves, {
          key,
          nonceLow: low,
          nonceHigh: high,
          counter,
        });
        const poly = new Poly1305(locals, at(POLY_STATE));
        const left = locals.new('i32');
        const absorbUnit = Array.from({ length: BLOCKS_PER_UNIT }, (_, block) =>
          poly.absorb(wordsAt(message, block * 16)),
        ).flat();
        return [
          ...chacha.initialise(),
          left.set(i32.sub(i32.const(DOUBLE_ROUNDS), units)),
          when(units, [
            ...poly.load(),
            doWhile(
              [
                ...interleaved(chacha.doubleRound(), absorbUnit),
                message.set(i32.add(message, i32.const(UNIT))),
                units.set(i32.sub(units, i32.const(1))),
              ],
              units,
            ),
            ...poly.save(),
          ]),
          whileTrue(left, [...chacha.doubleRound().flat(), left.set(i32.sub(left, i32.const(1)))]),
          ...chacha.store(out),
        ];
      },
    );
  const keystream4 = defineKeystream(1);
  const keystream8 = defineKeystream(2);

  const beginMac = module.define({ keystream: 'i32' }, 'void', ({ keystream }, locals) =>
    begin(locals, at(POLY_STATE), keystream, WORD_STRIDE),
  );
  const absorb = module.define(
    { message: 'i32', length: 'i32' },
    'void',
    ({ message, length }, locals) => absorbAll(locals, at(POLY_STATE), message, length),
  );
  /** Absorbs the lengths (RFC 8439 section 2.8: none of associated data) and stores the tag. */
  const finishMac = module.define(
    { length: 'i32', tag: 'i32' },
    'void',
    ({ length, tag }, locals) => [
      ...absorbWords(locals, at(POLY_STATE), (index) =>
        index === 2 ? i64.extend(length) : i64.const(0n),
      ),
      ...finish(locals, at(POLY_STATE), tag),
    ],
  );

  /** Four blocks of keystream in the order of their bytes. */
  const transpose = module.define(
    { keystream: 'i32', out: 'i32' },
    'void',
    ({ keystream, out }, locals) =>
      transposed(locals, keystream, (bytes, offset) => v128.store(out, bytes, offset)),
  );
  /** 256 bytes at `source` XOR four blocks of keystream. */
  const xorHalf = module.define(
    { keystream: 'i32', destination: 'i32', source: 'i32' },
    'void',
    ({ keystream, destination, source }, locals) =>
      transposed(locals, keystream, (bytes, offset) =>
        v128.store(destination, v128.xor(bytes, v128.load(source, offset)), offset),
      ),
  );

  /** The last `length` (1..15) bytes before `end`, zeros behind them. Reads 16 bytes before `end`. */
  const lastBytes = (end: Code<'i32'>, length: Code<'i32'>): Code<'v128'> =>
    i8x16.swizzle(
      v128.load(i32.sub(end, i32.const(16))),
      i8x16.add(ascending, i8x16.splat(i32.sub(i32.const(16), length))),
    );

  /** `length` bytes at `source` XOR `linear`; a last partial 16 bytes are stored with zeros behind. */
  const xorBytes = module.define(
    { destination: 'i32', source: 'i32', linear: 'i32', length: 'i32' },
    'void',
    ({ destination, source, linear, length }, locals) => {
      const step = (count: number): Statement[] => [
        ...Array.from({ length: count }, (_, i) =>
          v128.store(
            destination,
            v128.xor(v128.load(source, 16 * i), v128.load(linear, 16 * i)),
            16 * i,
          ),
        ),
        destination.set(i32.add(destination, i32.const(16 * count))),
        source.set(i32.add(source, i32.const(16 * count))),
        linear.set(i32.add(linear, i32.const(16 * count))),
        length.set(i32.sub(length, i32.const(16 * count))),
      ];
      const last = locals.new('v128');
      return [
        whileTrue(i32.geU(length, i32.const(64)), step(4)),
        whileTrue(i32.geU(length, i32.const(16)), step(1)),
        when(length, [
          last.set(v128.xor(lastBytes(i32.add(source, length), length), v128.load(linear))),
          v128.store(destination, v128.and(last, i8x16.ltU(ascending, i8x16.splat(length)))),
        ]),
      ];
    },
  );

  const packet = {
    key: 'i32',
    low: 'i32',
    high: 'i32',
    destination: 'i32',
    source: 'i32',
    length: 'i32',
  } as const;
  const NO_MESSAGE = { message: i32.const(0), units: i32.const(0) };
  const min = (a: Code<'i32'>, b: Code<'i32'>): Code<'i32'> => i32.select(a, b, i32.ltU(a, b));
  const padded = (length: Code<'i32'>): Code<'i32'> =>
    i32.and(i32.add(length, i32.const(15)), i32.const(-16));
  const linearFromHalf = (keystream: Code<'i32'>): Statement[] => [
    transpose.call({ keystream, out: at(LINEAR) }),
  ];
  const linearFromFull = (keystream: Code<'i32'>): Statement[] => [
    transpose.call({ keystream, out: at(LINEAR) }),
    transpose.call({
      keystream: i32.add(keystream, i32.const(16)),
      out: at(LINEAR + HALF_LENGTH),
    }),
  ];

  /** XORs a chunk with the keystream that was made for it: `skip` bytes of it are the MAC's key. */
  const xorChunk = module.define(
    { keystream: 'i32', destination: 'i32', source: 'i32', length: 'i32', skip: 'i32' },
    'void',
    ({ keystream, destination, source, length, skip }) => [
      when(
        i32.geU(length, i32.const(FULL_LENGTH)),
        [
          xorHalf.call({ keystream, destination, source }),
          xorHalf.call({
            keystream: i32.add(keystream, i32.const(16)),
            destination: i32.add(destination, i32.const(HALF_LENGTH)),
            source: i32.add(source, i32.const(HALF_LENGTH)),
          }),
        ],
        [
          when(
            i32.gtU(i32.add(length, skip), i32.const(HALF_LENGTH)),
            linearFromFull(keystream),
            linearFromHalf(keystream),
          ),
          xorBytes.call({ destination, source, linear: i32.add(at(LINEAR), skip), length }),
        ],
      ),
    ],
  );

  /** Keystream for the `chunk` bytes from block `counter` on, with no more blocks than needed. */
  const keystreamFor = (
    chunk: Code<'i32'>,
    given: Parameters<typeof keystream8.call>[0],
  ): Statement =>
    when(
      i32.gtU(chunk, i32.const(HALF_LENGTH)),
      [keystream8.call(given)],
      [keystream4.call(given)],
    );

  /** Keystream of the first chunk, the MAC's key taken from it, and the chunk's length. */
  const start = (
    p: { key: Local<'i32'>; low: Local<'i32'>; high: Local<'i32'>; length: Local<'i32'> },
    chunk: Local<'i32'>,
  ): Statement[] => [
    chunk.set(min(p.length, i32.const(FIRST_FULL))),
    keystreamFor(i32.add(chunk, i32.const(BLOCK_LENGTH)), {
      key: p.key,
      low: p.low,
      high: p.high,
      counter: i32.const(0),
      out: at(KEYSTREAM),
      ...NO_MESSAGE,
    }),
    beginMac.call({ keystream: at(KEYSTREAM) }),
  ];

  module.define(
    packet,
    'void',
    ({ key, low, high, destination, source, length }, locals) => {
      const chunk = locals.new('i32');
      const counter = locals.new('i32');
      const units = locals.new('i32');
      const done = locals.new('i32');
      const absorbed = locals.new('i32');
      return [
        ...start({ key, low, high, length }, chunk),
        xorChunk.call({
          keystream: at(KEYSTREAM),
          destination,
          source,
          length: chunk,
          skip: i32.const(BLOCK_LENGTH),
        }),
        done.set(chunk),
        counter.set(i32.const(8)),
        whileTrue(i32.ltU(done, length), [
          chunk.set(min(i32.sub(length, done), i32.const(FULL_LENGTH))),
          units.set(i32.shrU(i32.sub(done, absorbed), i32.const(UNIT_SHIFT))),
          keystreamFor(chunk, {
            key,
            low,
            high,
            counter,
            out: at(KEYSTREAM),
            message: i32.add(destination, absorbed),
            units,
          }),
          absorbed.set(i32.add(absorbed, i32.shl(units, i32.const(UNIT_SHIFT)))),
          counter.set(i32.add(counter, i32.const(8))),
          xorChunk.call({
            keystream: at(KEYSTREAM),
            destination: i32.add(destination, done),
            source: i32.add(source, done),
            length: chunk,
            skip: i32.const(0),
          }),
          done.set(i32.add(done, chunk)),
        ]),
        // xorBytes has padded the ciphertext with zeros where the tag will be (RFC 8439 section 2.8).
        absorb.call({
          message: i32.add(destination, absorbed),
          length: i32.sub(padded(length), absorbed),
        }),
        finishMac.call({ length, tag: i32.add(destination, length) }),
      ];
    },
    'seal',
  );

  module.define(
    packet,
    'i32',
    ({ key, low, high, destination, source, length }, locals) => {
      const chunk = locals.new('i32');
      const next = locals.new('i32');
      const counter = locals.new('i32');
      const units = locals.new('i32');
      const done = locals.new('i32');
      const absorbed = locals.new('i32');
      const skip = locals.new('i32');
      const keystream = locals.new('i32');
      const tail = locals.new('i32');
      /** The chunk before `done`, whose keystream is at `keystream`. */
      const xorPending = xorChunk.call({
        keystream,
        destination: i32.add(destination, i32.sub(done, chunk)),
        source: i32.add(source, i32.sub(done, chunk)),
        length: chunk,
        skip,
      });
      return [
        ...start({ key, low, high, length }, chunk),
        keystream.set(at(KEYSTREAM)),
        skip.set(i32.const(BLOCK_LENGTH)),
        done.set(chunk),
        counter.set(i32.const(8)),
        whileTrue(i32.ltU(done, length), [
          next.set(min(i32.sub(length, done), i32.const(FULL_LENGTH))),
          units.set(
            min(
              i32.shrU(i32.sub(length, absorbed), i32.const(UNIT_SHIFT)),
              i32.const(DOUBLE_ROUNDS),
            ),
          ),
          // The other keystream: the two offsets differ in the bit of KEYSTREAM_LENGTH.
          keystream.set(
            i32.sub(i32.add(at(KEYSTREAM), at(KEYSTREAM + KEYSTREAM_LENGTH)), keystream),
          ),
          keystreamFor(next, {
            key,
            low,
            high,
            counter,
            out: keystream,
            message: i32.add(source, absorbed),
            units,
          }),
          absorbed.set(i32.add(absorbed, i32.shl(units, i32.const(UNIT_SHIFT)))),
          counter.set(i32.add(counter, i32.const(8))),
          keystream.set(
            i32.sub(i32.add(at(KEYSTREAM), at(KEYSTREAM + KEYSTREAM_LENGTH)), keystream),
          ),
          xorPending,
          keystream.set(
            i32.sub(i32.add(at(KEYSTREAM), at(KEYSTREAM + KEYSTREAM_LENGTH)), keystream),
          ),
          skip.set(i32.const(0)),
          chunk.set(next),
          done.set(i32.add(done, chunk)),
        ]),
        absorb.call({
          message: i32.add(source, absorbed),
          length: i32.sub(i32.and(length, i32.const(-16)), absorbed),
        }),
        tail.set(i32.and(length, i32.const(15))),
        when(tail, [
          v128.store(scratch, lastBytes(i32.add(source, length), tail), PADDED),
          absorb.call({ message: at(PADDED), length: i32.const(16) }),
        ]),
        finishMac.call({ length, tag: at(TAG) }),
        // Constant time: one comparison of 16 bytes.
        when(v128.anyTrue(v128.xor(v128.load(scratch, TAG), v128.load(i32.add(source, length)))), [
          leave(i32.const(0)),
        ]),
        xorPending,
        i32.const(1),
      ];
    },
    'open',
  );

  defineMemoryFunctions(module);
  return module.assemble(label);
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
