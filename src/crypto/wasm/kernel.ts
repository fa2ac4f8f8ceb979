import {
  type Code,
  type Func,
  type Local,
  leave,
  ModuleAssembler,
  type Statement,
  when,
  whileTrue,
} from './assembler.ts';
import { BLOCK_LENGTH, KEYSTREAM_LENGTH, WORD_STRIDE } from './chacha20.ts';
import { i32, i64, v128 } from './instructions.ts';
import { defineKeystreams, type Keystream, MAX_UNITS, UNIT_SHIFT } from './keystream.ts';
import { defineMemoryFunctions } from './memory-functions.ts';
import { absorbAll, absorbWords, begin, finish, STATE_LENGTH } from './poly1305.ts';
import { defineXorChunk, FULL_LENGTH, HALF_LENGTH, lastBytes } from './xor.ts';

/**
 * ChaCha20-Poly1305 (RFC 8439 section 2.8) without associated data: `seal` and `open`.
 *
 * The keystream is made eight blocks (512 bytes) at a time, the first block being the one-time key
 * of Poly1305 (2.6), so 448 bytes of the packet come with the first eight. Poly1305 is scalar and
 * ChaCha20 is vector arithmetic: while it makes a keystream, the processor also absorbs ciphertext.
 * `seal` absorbs what it encrypted a step before; `open` absorbs ahead and decrypts one step
 * later, so that a packet may be opened in place.
 *
 * What a keystream leaves in the scratch memory stays there until the next packet.
 */

/** Layout of the scratch memory (byte offsets). */
const POLY_STATE = 0;
const TAG = STATE_LENGTH;
/** The last, partial block of ciphertext, padded with zeros. */
const PADDED = TAG + 16;
/** Two untransposed keystreams, 64-byte aligned; `open` alternates between them. */
const KEYSTREAM = 128;
/** A keystream in the order of its bytes. */
const LINEAR = KEYSTREAM + 2 * KEYSTREAM_LENGTH;
export const SCRATCH_USED = LINEAR + KEYSTREAM_LENGTH;

/** What the first keystream leaves for the packet when the one-time key is taken off. */
const FIRST_LENGTH = FULL_LENGTH - BLOCK_LENGTH;

const PACKET = {
  key: 'i32',
  low: 'i32',
  high: 'i32',
  destination: 'i32',
  source: 'i32',
  length: 'i32',
} as const;

const min = (a: Code<'i32'>, b: Code<'i32'>): Code<'i32'> => i32.select(a, b, i32.ltU(a, b));
const wholeBlocks = (length: Code<'i32'>): Code<'i32'> => i32.and(length, i32.const(-16));

/**
 * Bytes of the module that exports seal, open, sum, copy and copySum, for memories of at most
 * `maximumPages` of 64 KB.
 */
export function assembleKernel(maximumPages: number, label: string): Uint8Array {
  const module = new ModuleAssembler(maximumPages);
  const at = (offset: number): Code<'i32'> => i32.add(module.scratch, i32.const(offset));
  const parts: Parts = {
    at,
    keystreams: defineKeystreams(module, at(POLY_STATE)),
    xorChunk: defineXorChunk(module, at(LINEAR)),
    beginMac: module.define({ keystream: 'i32' }, 'void', ({ keystream }, locals) =>
      begin(locals, at(POLY_STATE), keystream, WORD_STRIDE),
    ),
    absorb: module.define(
      { message: 'i32', length: 'i32' },
      'void',
      ({ message, length }, locals) => absorbAll(locals, at(POLY_STATE), message, length),
    ),
    finishMac: module.define({ length: 'i32', tag: 'i32' }, 'void', ({ length, tag }, locals) => [
      ...absorbWords(locals, at(POLY_STATE), (index) =>
        index === 2 ? i64.extend(length) : i64.const(0n),
      ),
      ...finish(locals, at(POLY_STATE), tag),
    ]),
  };
  defineSeal(module, parts);
  defineOpen(module, parts);
  defineMemoryFunctions(module);
  return module.assemble(label);
}

/** The functions that `seal` and `open` are made of. */
interface Parts {
  /** Address in the scratch memory. */
  readonly at: (offset: number) => Code<'i32'>;
  readonly keystreams: { readonly four: Keystream; readonly eight: Keystream };
  readonly xorChunk: ReturnType<typeof defineXorChunk>;
  /** Takes the one-time key from the untransposed keystream that begins with block 0. */
  readonly beginMac: Func<{ keystream: 'i32' }, 'void'>;
  /** Absorbs whole blocks. */
  readonly absorb: Func<{ message: 'i32'; length: 'i32' }, 'void'>;
  /** Absorbs the lengths (RFC 8439 section 2.8: none of associated data) and stores the tag. */
  readonly finishMac: Func<{ length: 'i32'; tag: 'i32' }, 'void'>;
}

/** Keystream for `length` bytes, with no more blocks than needed. */
function keystreamFor(
  { keystreams }: Parts,
  length: Code<'i32'>,
  given: Parameters<Keystream['call']>[0],
): Statement {
  const isLong = i32.gtU(length, i32.const(HALF_LENGTH));
  return when(isLong, [keystreams.eight.call(given)], [keystreams.four.call(given)]);
}

/** Makes the first keystream, takes the MAC's key from it, and sets `chunk` to what it is good for. */
function start(
  parts: Parts,
  packet: Readonly<Record<'key' | 'low' | 'high' | 'length', Local<'i32'>>>,
  chunk: Local<'i32'>,
): Statement[] {
  const { key, low, high, length } = packet;
  return [
    chunk.set(min(length, i32.const(FIRST_LENGTH))),
    keystreamFor(parts, i32.add(chunk, i32.const(BLOCK_LENGTH)), {
      key,
      low,
      high,
      counter: i32.const(0),
      out: parts.at(KEYSTREAM),
      message: i32.const(0),
      units: i32.const(0),
    }),
    parts.beginMac.call({ keystream: parts.at(KEYSTREAM) }),
  ];
}

function defineSeal(module: ModuleAssembler, parts: Parts): void {
  const { at } = parts;
  module.define(
    PACKET,
    'void',
    ({ key, low, high, destination, source, length }, locals) => {
      /** Encrypted and absorbed so far, and the length of what is encrypted next. */
      const done = locals.new('i32');
      const absorbed = locals.new('i32');
      const chunk = locals.new('i32');
      const counter = locals.new('i32');
      const units = locals.new('i32');
      const encryptChunk = (skip: number): Statement[] => [
        parts.xorChunk.call({
          keystream: at(KEYSTREAM),
          destination: i32.add(destination, done),
          source: i32.add(source, done),
          length: chunk,
          skip: i32.const(skip),
        }),
        done.set(i32.add(done, chunk)),
        counter.set(i32.add(counter, i32.const(8))),
      ];
      return [
        ...start(parts, { key, low, high, length }, chunk),
        ...encryptChunk(BLOCK_LENGTH),
        whileTrue(i32.ltU(done, length), [
          chunk.set(min(i32.sub(length, done), i32.const(FULL_LENGTH))),
          units.set(i32.shrU(i32.sub(done, absorbed), i32.const(UNIT_SHIFT))), // 7, then 8
          keystreamFor(parts, chunk, {
            key,
            low,
            high,
            counter,
            out: at(KEYSTREAM),
            message: i32.add(destination, absorbed),
            units,
          }),
          absorbed.set(i32.add(absorbed, i32.shl(units, i32.const(UNIT_SHIFT)))),
          ...encryptChunk(0),
        ]),
        // The last block is already padded with zeros, where the tag will be.
        parts.absorb.call({
          message: i32.add(destination, absorbed),
          length: i32.sub(wholeBlocks(i32.add(length, i32.const(15))), absorbed),
        }),
        parts.finishMac.call({ length, tag: i32.add(destination, length) }),
      ];
    },
    'seal',
  );
}

function defineOpen(module: ModuleAssembler, parts: Parts): void {
  const { at } = parts;
  module.define(
    PACKET,
    'i32',
    ({ key, low, high, destination, source, length }, locals) => {
      /** Decrypted and absorbed so far, and the length of what is decrypted next, with `keystream`. */
      const done = locals.new('i32');
      const absorbed = locals.new('i32');
      const chunk = locals.new('i32');
      const keystream = locals.new('i32');
      const skip = locals.new('i32');
      /** Where the keystream of the chunk after that goes. */
      const nextKeystream = locals.new('i32');
      const ahead = locals.new('i32');
      const counter = locals.new('i32');
      const units = locals.new('i32');
      const tail = locals.new('i32');
      const decryptChunk: Statement[] = [
        parts.xorChunk.call({
          keystream,
          destination: i32.add(destination, done),
          source: i32.add(source, done),
          length: chunk,
          skip,
        }),
        done.set(ahead),
      ];
      return [
        ...start(parts, { key, low, high, length }, chunk),
        keystream.set(at(KEYSTREAM)),
        nextKeystream.set(at(KEYSTREAM + KEYSTREAM_LENGTH)),
        skip.set(i32.const(BLOCK_LENGTH)),
        ahead.set(chunk),
        whileTrue(i32.ltU(ahead, length), [
          counter.set(i32.add(counter, i32.const(8))),
          units.set(
            min(i32.shrU(i32.sub(length, absorbed), i32.const(UNIT_SHIFT)), i32.const(MAX_UNITS)),
          ),
          keystreamFor(parts, i32.sub(length, ahead), {
            key,
            low,
            high,
            counter,
            out: nextKeystream,
            message: i32.add(source, absorbed),
            units,
          }),
          absorbed.set(i32.add(absorbed, i32.shl(units, i32.const(UNIT_SHIFT)))),
          // All of the chunk is absorbed: 576 bytes a step, or all there were.
          ...decryptChunk,
          chunk.set(min(i32.sub(length, ahead), i32.const(FULL_LENGTH))),
          ahead.set(i32.add(ahead, chunk)),
          skip.set(i32.const(0)),
          // Swaps the two, by way of `tail`, which is not in use yet.
          tail.set(keystream),
          keystream.set(nextKeystream),
          nextKeystream.set(tail),
        ]),
        parts.absorb.call({
          message: i32.add(source, absorbed),
          length: i32.sub(wholeBlocks(length), absorbed),
        }),
        tail.set(i32.and(length, i32.const(15))),
        when(tail, [
          v128.store(at(PADDED), lastBytes(i32.add(source, length), tail)),
          parts.absorb.call({ message: at(PADDED), length: i32.const(16) }),
        ]),
        parts.finishMac.call({ length, tag: at(TAG) }),
        // In constant time: one comparison of all 16 bytes.
        when(v128.anyTrue(v128.xor(v128.load(at(TAG)), v128.load(i32.add(source, length)))), [
          leave(i32.const(0)),
        ]),
        ...decryptChunk,
        i32.const(1),
      ];
    },
    'open',
  );
}
