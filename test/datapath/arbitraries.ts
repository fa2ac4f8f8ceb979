import fc from 'fast-check';
import { type PacketShape, SHAPE } from './plain.ts';

/** Bytes without the cost of an array of arbitraries. */
export const payloadOf = (length: number, seed: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 31 + seed * 17 + ((i * seed) >> 3)) & 255);

const timestamps = Uint8Array.of(1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8);

/** Headers of all kinds; payload is left empty. */
export const anyShape: fc.Arbitrary<PacketShape> = fc
  .record({
    version: fc.constantFrom<4 | 6>(4, 6),
    protocol: fc.constantFrom<'tcp' | 'udp'>('tcp', 'udp'),
    source: fc.integer({ min: 1, max: 3 }),
    destination: fc.integer({ min: 1, max: 3 }),
    tos: fc.constantFrom(0, 1, 2, 3, 0xb8),
    ttl: fc.constantFrom(64, 1, 255),
    id: fc.constantFrom(0, 1, 0xfffe, 0xffff),
    dontFragment: fc.boolean(),
    ipOptions: fc.constantFrom(0, 0, 0, 1, 10),
    extensionHeaders: fc.constantFrom(0, 0, 0, 1, 2),
    sequence: fc.constantFrom(0, 1000, 0xfffff000, 0xffffffff),
    flags: fc.constantFrom(0x10, 0x18, 0x11, 0x19, 0x50, 0xd0, 0x90, 0x30, 0x12, 0x14, 0xff, 0),
    tcpOptions: fc.constantFrom(new Uint8Array(0), timestamps, new Uint8Array(40).fill(1)),
  })
  .map((fields) => ({ ...SHAPE, ...fields }));
