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
import { ROWS_KEYSTREAM_LENGTH, threeBlocks } from './chacha20-rows.ts';
import { i32, i64, v128 } from './instructions.ts';
import { defineKeystream, type Keystream, MAX_UNITS, UNIT_SHIFT } from './keystream.ts';
import { defineMemoryFunctions } from './memory-functions.ts';
import { absorbAll, absorbWords, begin, finish, STATE_LENGTH } from './poly1305.ts';
import {
  defineXorBytes,
  defineXorChunk,
  FULL_LENGTH,
  lastBytes,
  type XorBytes,
  type XorChunk,
} from './xor.ts';

/**
 * ChaCha20-Poly1305 (RFC 8439 section 2.8) without associated data: `sealNext`, `sealEnd`, `open` and
 * `openBefore`.
 *
 * The keystream is made eight blocks (512 bytes) at a time, the first block being the one-time key
 * of Poly1305 (2.6), so 448 bytes of the packet come with the first eight. Poly1305 is scalar and
 * ChaCha20 is vector arithmetic: while it makes a keystream, the processor also absorbs ciphertext.
 * `sealNext` absorbs what it encrypted a step before, and the rest of a packet (464 bytes of 1,420) with
 * the first keystream of the next one, or in `sealEnd`. `open` absorbs ahead and decrypts one step later,
 * so that a packet may be opened in place; `openBefore` absorbs the rest (268 bytes of 1,420) while it makes
 * the first keystream of the packet behind it. Small packets have a keystream of three blocks.
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
/** What is left to do of the last packet that was sealed: addresses and lengths, 32 bits each. */
const PENDING = LINEAR + KEYSTREAM_LENGTH;
/** Ciphertext to absorb, and how much of it: whole blocks. */
const PENDING_MESSAGE = PENDING;
const PENDING_LEFT = PENDING + 4;
/** The packet's length, and where its tag goes; 0: nothing is left to do. */
const PENDING_LENGTH = PENDING + 8;
const PENDING_TAG = PENDING + 12;
/**
 * Where the first keystream of the packet that is opened next was made, 0: nowhere; and what for: the
 * offset of its key, and its counter.
 */
const PREPARED = PENDING + 16;
const PREPARED_KEY = PREPARED + 4;
const PREPARED_LOW = PREPARED + 8;
const PREPARED_HIGH = PREPARED + 12;
export const SCRATCH_USED = PREPARED + 16;

/** What the first keystream leaves for the packet when the one-time key is taken off. */
const FIRST_LENGTH = FULL_LENGTH - BLOCK_LENGTH;
/** The same of the small keystream: up to here packets are small. */
const SMALL_LENGTH = ROWS_KEYSTREAM_LENGTH - BLOCK_LENGTH;

const PACKET = {
  key: 'i32',
  low: 'i32',
  high: 'i32',
  destination: 'i32',
  source: 'i32',
  length: 'i32',
} as const;

const NEXT_PACKET = {
  ...PACKET,
  nextKey: 'i32',
  nextLow: 'i32',
  nextHigh: 'i32',
  nextLength: 'i32',
} as const;

const min = (a: Code<'i32'>, b: Code<'i32'>): Code<'i32'> => i32.select(a, b, i32.ltU(a, b));
const wholeBlocks = (length: Code<'i32'>): Code<'i32'> => i32.and(length, i32.const(-16));

export interface KernelOptions {
  /** Whether V8 will join pairs of 128-bit operations. */
  readonly revectorized: boolean;
  /** Limit of the memories that the module can be given, in 64 KB. */
  readonly maximumPages: number;
  /** Names the module, see ModuleAssembler.assemble. */
  readonly label: string;
}

/** Bytes of the module that exports what `Kernel` in loader.ts lists. */
export function assembleKernel({ revectorized, maximumPages, label }: KernelOptions): Uint8Array {
  const module = new ModuleAssembler(maximumPages);
  const at = (offset: number): Code<'i32'> => i32.add(module.scratch, i32.const(offset));
  const poly = at(POLY_STATE);
  const xorBytes = defineXorBytes(module);
  const parts: Parts = {
    at,
    keystream: defineKeystream(module, poly, revectorized),
    smallKeystream: module.define(
      { key: 'i32', low: 'i32', high: 'i32' },
      'void',
      ({ key, low, high }, locals) => [
        ...threeBlocks(locals, { key, nonceLow: low, nonceHigh: high, out: at(LINEAR) }),
        ...begin(locals, poly, at(LINEAR), 4),
      ],
    ),
    beginMac: module.define({ keystream: 'i32' }, 'void', ({ keystream }, locals) =>
      begin(locals, poly, keystream, WORD_STRIDE),
    ),
    xorBytes,
    xorChunk: defineXorChunk(module, xorBytes, at(LINEAR)),
    absorb: module.define(
      { message: 'i32', length: 'i32' },
      'void',
      ({ message, length }, locals) => absorbAll(locals, poly, message, length),
    ),
    finishMac: module.define({ length: 'i32', tag: 'i32' }, 'void', ({ length, tag }, locals) => [
      ...absorbWords(locals, poly, (index) => (index === 2 ? i64.extend(length) : i64.const(0n))),
      ...finish(locals, poly, tag),
    ]),
  };
  defineOpen(module, parts, defineSeal(module, parts));
  defineMemoryFunctions(module);
  return module.assemble(label);
}

/** The functions that `seal` and `open` are made of. */
interface Parts {
  /** Address in the scratch memory. */
  readonly at: (offset: number) => Code<'i32'>;
  readonly keystream: Keystream;
  /** Three blocks to LINEAR, and the MAC begun. */
  readonly smallKeystream: Func<{ key: 'i32'; low: 'i32'; high: 'i32' }, 'void'>;
  /** Takes the one-time key from a keystream that begins with block 0. */
  readonly beginMac: Func<{ keystream: 'i32' }, 'void'>;
  readonly xorBytes: XorBytes;
  readonly xorChunk: XorChunk;
  /** Absorbs whole blocks. */
  readonly absorb: Func<{ message: 'i32'; length: 'i32' }, 'void'>;
  /** Absorbs the lengths (RFC 8439 section 2.8: none of associated data) and stores the tag. */
  readonly finishMac: Func<{ length: 'i32'; tag: 'i32' }, 'void'>;
}

type Packet = Readonly<Record<keyof typeof PACKET, Local<'i32'>>>;

const isSmall = ({ length }: Packet): Code<'i32'> => i32.ltU(length, i32.const(SMALL_LENGTH + 1));

/** XORs a small packet, when its keystream is made. */
function xorSmall({ at, xorBytes }: Parts, { destination, source, length }: Packet): Statement {
  return xorBytes.call({ destination, source, mask: at(LINEAR + BLOCK_LENGTH), length });
}

type SealEnd = Func<Record<never, never>, 'void'>;

/** Defines seal, sealNext and sealEnd, which it returns. */
function defineSeal(module: ModuleAssembler, parts: Parts): SealEnd {
  const { at } = parts;
  const base = at(0);
  const pendingTag = i32.load(base, PENDING_TAG);
  const sealEnd = module.define(
    {},
    'void',
    () => [
      when(pendingTag, [
        parts.absorb.call({
          message: i32.load(base, PENDING_MESSAGE),
          length: i32.load(base, PENDING_LEFT),
        }),
        parts.finishMac.call({ length: i32.load(base, PENDING_LENGTH), tag: pendingTag }),
        i32.store(base, i32.const(0), PENDING_LEFT),
        i32.store(base, i32.const(0), PENDING_TAG),
      ]),
    ],
    'sealEnd',
  );
  const sealNext = module.define(
    PACKET,
    'void',
    (packet, locals) => {
      const { key, low, high, destination, source, length } = packet;
      /** Encrypted and absorbed so far, and the length of what is encrypted next. */
      const done = locals.new('i32');
      const absorbed = locals.new('i32');
      const chunk = locals.new('i32');
      const counter = locals.new('i32');
      /** What is absorbed with a keystream: of the packet before with the first one, then of this one. */
      const message = locals.new('i32');
      const units = locals.new('i32');
      const left = locals.new('i32');
      const keystream = parts.keystream.call({
        key,
        low,
        high,
        counter,
        out: at(KEYSTREAM),
        message,
        units,
      });
      const takeUnits = [
        message.set(i32.load(base, PENDING_MESSAGE)),
        left.set(i32.load(base, PENDING_LEFT)),
        units.set(min(i32.shrU(left, i32.const(UNIT_SHIFT)), i32.const(MAX_UNITS))),
        chunk.set(i32.shl(units, i32.const(UNIT_SHIFT))),
        i32.store(base, i32.add(message, chunk), PENDING_MESSAGE),
        i32.store(base, i32.sub(left, chunk), PENDING_LEFT),
      ];
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
      const sealSmall = [
        sealEnd.call({}),
        parts.smallKeystream.call({ key, low, high }),
        xorSmall(parts, packet),
      ];
      const sealLarge = [
        ...takeUnits,
        keystream,
        sealEnd.call({}),
        parts.beginMac.call({ keystream: at(KEYSTREAM) }),
        chunk.set(min(length, i32.const(FIRST_LENGTH))),
        ...encryptChunk(BLOCK_LENGTH),
        whileTrue(i32.ltU(done, length), [
          chunk.set(min(i32.sub(length, done), i32.const(FULL_LENGTH))),
          units.set(i32.shrU(i32.sub(done, absorbed), i32.const(UNIT_SHIFT))), // 7, then 8
          message.set(i32.add(destination, absorbed)),
          keystream,
          absorbed.set(i32.add(absorbed, i32.shl(units, i32.const(UNIT_SHIFT)))),
          ...encryptChunk(0),
        ]),
      ];
      // The last block is already padded with zeros, where the tag will be.
      const padded = wholeBlocks(i32.add(length, i32.const(15)));
      return [
        i32.store(base, i32.const(0), PREPARED), // its place may be taken
        when(isSmall(packet), sealSmall, sealLarge),
        i32.store(base, i32.add(destination, absorbed), PENDING_MESSAGE),
        i32.store(base, i32.sub(padded, absorbed), PENDING_LEFT),
        i32.store(base, length, PENDING_LENGTH),
        i32.store(base, i32.add(destination, length), PENDING_TAG),
      ];
    },
    'sealNext',
  );
  module.define(PACKET, 'void', (packet) => [sealNext.call(packet), sealEnd.call({})], 'seal');
  return sealEnd;
}

function defineOpen(module: ModuleAssembler, parts: Parts, sealEnd: SealEnd): void {
  const { at } = parts;
  const base = at(0);
  const forget = i32.store(base, i32.const(0), PREPARED);
  const openBefore = module.define(
    NEXT_PACKET,
    'i32',
    ({ nextKey, nextLow, nextHigh, nextLength, ...packet }, locals) => {
      const { key, low, high, destination, source, length } = packet;
      /** Decrypted and absorbed so far, and the length of what is decrypted next, with `keystream`. */
      const done = locals.new('i32');
      const absorbed = locals.new('i32');
      const chunk = locals.new('i32');
      const keystream = locals.new('i32');
      const skip = locals.new('i32');
      /** Where the chunk ends, and where the keystream of the one behind it goes. */
      const ahead = locals.new('i32');
      const nextKeystream = locals.new('i32');
      const previousKeystream = locals.new('i32');
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
      const zero = i32.const(0);
      const isPrepared = i32.and(
        i32.eq(i32.load(base, PREPARED_KEY), key),
        i32.and(
          i32.eq(i32.load(base, PREPARED_LOW), low),
          i32.eq(i32.load(base, PREPARED_HIGH), high),
        ),
      );
      const makeKeystreams = [
        keystream.set(i32.select(i32.load(base, PREPARED), zero, isPrepared)),
        when(i32.eq(keystream, zero), [
          keystream.set(at(KEYSTREAM)),
          parts.keystream.call({
            key,
            low,
            high,
            counter: zero,
            out: keystream,
            message: zero,
            units: zero,
          }),
        ]),
        parts.beginMac.call({ keystream }),
        // The other one of the two.
        nextKeystream.set(
          i32.sub(i32.add(at(KEYSTREAM), at(KEYSTREAM + KEYSTREAM_LENGTH)), keystream),
        ),
        skip.set(i32.const(BLOCK_LENGTH)),
        chunk.set(min(length, i32.const(FIRST_LENGTH))),
        ahead.set(chunk),
        whileTrue(i32.ltU(ahead, length), [
          counter.set(i32.add(counter, i32.const(8))),
          units.set(
            min(i32.shrU(i32.sub(length, absorbed), i32.const(UNIT_SHIFT)), i32.const(MAX_UNITS)),
          ),
          parts.keystream.call({
            key,
            low,
            high,
            counter,
            out: nextKeystream,
            message: i32.add(source, absorbed),
            units,
          }),
          // All of the chunk is absorbed now: 576 bytes a step, or all there were.
          absorbed.set(i32.add(absorbed, i32.shl(units, i32.const(UNIT_SHIFT)))),
          ...decryptChunk,
          chunk.set(min(i32.sub(length, ahead), i32.const(FULL_LENGTH))),
          ahead.set(i32.add(ahead, chunk)),
          skip.set(i32.const(0)),
          previousKeystream.set(keystream),
          keystream.set(nextKeystream),
          nextKeystream.set(previousKeystream),
        ]),
      ];
      /** The keystream that was to be decrypted with last stays: it is the other one that is free. */
      const prepareNext = [
        units.set(
          min(i32.shrU(i32.sub(length, absorbed), i32.const(UNIT_SHIFT)), i32.const(MAX_UNITS)),
        ),
        parts.keystream.call({
          key: nextKey,
          low: nextLow,
          high: nextHigh,
          counter: zero,
          out: nextKeystream,
          message: i32.add(source, absorbed),
          units,
        }),
        absorbed.set(i32.add(absorbed, i32.shl(units, i32.const(UNIT_SHIFT)))),
        i32.store(base, nextKeystream, PREPARED),
        i32.store(base, nextKey, PREPARED_KEY),
        i32.store(base, nextLow, PREPARED_LOW),
        i32.store(base, nextHigh, PREPARED_HIGH),
      ];
      const makeLarge = [
        ...makeKeystreams,
        forget,
        when(i32.ltU(i32.const(SMALL_LENGTH), nextLength), prepareNext),
      ];
      return [
        sealEnd.call({}), // the state of the MAC is one for both
        when(isSmall(packet), [parts.smallKeystream.call({ key, low, high })], makeLarge),
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
        when(isSmall(packet), [xorSmall(parts, packet)], decryptChunk),
        i32.const(1),
      ];
    },
    'openBefore',
  );
  const none = i32.const(0);
  module.define(
    PACKET,
    'i32',
    (packet) => [
      forget,
      openBefore.call({
        ...packet,
        nextKey: none,
        nextLow: none,
        nextHigh: none,
        nextLength: none,
      }),
    ],
    'open',
  );
  module.define({}, 'void', () => [forget], 'openEnd');
}
