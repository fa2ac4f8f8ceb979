import {
  type Code,
  type Func,
  type ModuleAssembler,
  type Statement,
  when,
  whileTrue,
} from './assembler.ts';
import { BLOCK_LENGTH, transposed } from './chacha20.ts';
import { i8x16, i32, v128 } from './instructions.ts';

export const HALF_LENGTH = 4 * BLOCK_LENGTH;
export const FULL_LENGTH = 8 * BLOCK_LENGTH;

const ascending = v128.const(Array.from({ length: 16 }, (_, i) => i));

/** The last `length` (1..15) bytes before `end`, zeros behind them. Reads 16 bytes before `end`. */
export function lastBytes(end: Code<'i32'>, length: Code<'i32'>): Code<'v128'> {
  return i8x16.swizzle(
    v128.load(i32.sub(end, i32.const(16))),
    i8x16.add(ascending, i8x16.splat(i32.sub(i32.const(16), length))),
  );
}

const BYTES_SIGNATURE = {
  destination: 'i32',
  source: 'i32',
  mask: 'i32',
  length: 'i32',
} as const;

/**
 * XORs `length` bytes at `source` with those at `mask`. A last partial 16 bytes are stored with zeros
 * behind them, the padding that Poly1305 wants (RFC 8439 section 2.8).
 */
export type XorBytes = Func<typeof BYTES_SIGNATURE, 'void'>;

export function defineXorBytes(module: ModuleAssembler): XorBytes {
  return module.define(BYTES_SIGNATURE, 'void', ({ destination, source, mask, length }, locals) => {
    const step = (count: number): Statement[] => [
      ...Array.from({ length: count }, (_, i) =>
        v128.store(
          destination,
          v128.xor(v128.load(source, 16 * i), v128.load(mask, 16 * i)),
          16 * i,
        ),
      ),
      ...[destination, source, mask].map((pointer) =>
        pointer.set(i32.add(pointer, i32.const(16 * count))),
      ),
      length.set(i32.sub(length, i32.const(16 * count))),
    ];
    const last = locals.new('v128');
    return [
      whileTrue(i32.geU(length, i32.const(64)), step(4)),
      whileTrue(i32.geU(length, i32.const(16)), step(1)),
      when(length, [
        last.set(v128.xor(lastBytes(i32.add(source, length), length), v128.load(mask))),
        v128.store(destination, v128.and(last, i8x16.ltU(ascending, i8x16.splat(length)))),
      ]),
    ];
  });
}

const CHUNK_SIGNATURE = {
  keystream: 'i32',
  destination: 'i32',
  source: 'i32',
  length: 'i32',
  skip: 'i32',
} as const;

/**
 * XORs `length` bytes at `source` with the untransposed keystream that was made for them, whose first
 * `skip` bytes are not used: 512 bytes, or any fewer with `skip`. A partial end as in XorBytes.
 */
export type XorChunk = Func<typeof CHUNK_SIGNATURE, 'void'>;

/** `linear`: 512 bytes for a keystream in the order of its bytes. */
export function defineXorChunk(
  module: ModuleAssembler,
  xorBytes: XorBytes,
  linear: Code<'i32'>,
): XorChunk {
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
  const otherHalf = (keystream: Code<'i32'>) => i32.add(keystream, i32.const(16));
  return module.define(
    CHUNK_SIGNATURE,
    'void',
    ({ keystream, destination, source, length, skip }) => [
      when(
        i32.geU(length, i32.const(FULL_LENGTH)),
        [
          xorHalf.call({ keystream, destination, source }),
          xorHalf.call({
            keystream: otherHalf(keystream),
            destination: i32.add(destination, i32.const(HALF_LENGTH)),
            source: i32.add(source, i32.const(HALF_LENGTH)),
          }),
        ],
        [
          transpose.call({ keystream, out: linear }),
          when(i32.gtU(i32.add(length, skip), i32.const(HALF_LENGTH)), [
            transpose.call({
              keystream: otherHalf(keystream),
              out: i32.add(linear, i32.const(HALF_LENGTH)),
            }),
          ]),
          xorBytes.call({ destination, source, mask: i32.add(linear, skip), length }),
        ],
      ),
    ],
  );
}
