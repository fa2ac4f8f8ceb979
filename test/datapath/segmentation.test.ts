import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { javascriptKernel } from '../../src/datapath/checksum.ts';
import { BUFFER, PacketMemory } from '../../src/datapath/memory.ts';
import { Segmenter } from '../../src/datapath/segmentation.ts';
import { anyShape, payloadOf } from './arbitraries.ts';
import {
  build,
  checksumsRight,
  leaveChecksumUnfinished,
  parseVnetHeader,
  plainSegment,
  SHAPE,
  type VnetHeader,
  vnetHeaderBytes,
} from './plain.ts';

const memory = new PacketMemory({ maxPeers: 1, maxKeypairs: 1, threads: 1, lanes: 1 });
const segmenter = new Segmenter(memory, javascriptKernel(memory.memory));
const offset = memory.buffers(0) + BUFFER.packet;
const out = memory.buffers(0) + BUFFER.opened;

/** What the segmenter makes of it: undefined if it refuses. */
function segment(header: VnetHeader, packet: Uint8Array): Uint8Array[] | undefined {
  memory.u8.set(vnetHeaderBytes(header), offset - 10);
  memory.u8.set(packet, offset);
  if (header.gsoType === 0) {
    if (!segmenter.completeChecksum(offset, packet.length)) return undefined;
    return [memory.u8.slice(offset, offset + packet.length)];
  }
  if (!segmenter.begin(offset, packet.length)) return undefined;
  const segments: Uint8Array[] = [];
  const { count, segmentLength, lastSegmentLength } = segmenter;
  for (let length = segmenter.next(out); length > 0; length = segmenter.next(out)) {
    segments.push(memory.u8.slice(out, out + length));
  }
  expect(segments.length).toBe(count);
  for (const one of segments.slice(0, -1)) expect(one.length).toBe(segmentLength);
  expect(segments.at(-1)!.length).toBe(lastSegmentLength);
  return segments;
}

const hex = (packets: Uint8Array[] | undefined): string[] | undefined =>
  packets?.map((packet) => Buffer.from(packet).toString('hex'));

const superPacket = fc
  .record({
    shape: anyShape,
    payload: fc.oneof(fc.integer({ min: 1, max: 300 }), fc.constantFrom(1, 1380, 2760, 2761, 5000)),
    gsoSize: fc.constantFrom(1, 7, 100, 536, 1380, 1460, 65535),
    seed: fc.integer({ min: 0, max: 255 }),
  })
  .map(({ shape, payload, gsoSize, seed }) => {
    const size = Math.max(gsoSize, Math.ceil(payload / 40));
    const { bytes, transport, headerLength } = build({
      ...shape,
      payload: payloadOf(payload, seed),
    });
    const tcp = shape.protocol === 'tcp';
    leaveChecksumUnfinished(bytes, transport, tcp);
    const header: VnetHeader = {
      flags: 1,
      gsoType: tcp ? (shape.version === 4 ? 1 : 4) | (shape.flags & 0x80) : 5,
      headerLength,
      gsoSize: size,
      checksumStart: transport,
      checksumOffset: tcp ? 16 : 6,
    };
    return { header, bytes, transport, tcp };
  });

describe('segmentation', () => {
  test('a super-packet becomes the same packets as by the plain way', () => {
    fc.assert(
      fc.property(superPacket, ({ header, bytes, transport, tcp }) => {
        const expected = plainSegment(header, bytes);
        expect(expected).toBeDefined();
        const segments = segment(header, bytes);
        expect(hex(segments)).toEqual(hex(expected));
        for (const one of segments!) expect(checksumsRight(one, transport, tcp)).toBe(true);
      }),
      { numRuns: 600 },
    );
  });

  test('whatever is wrong with it, the plain way and the fast way agree on refusing it', () => {
    const damage = fc.record({
      at: fc.integer({ min: 0, max: 89 }),
      value: fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(0, 1, 0xff, 6, 17, 44, 60)),
      cut: fc.constantFrom(0, 0, 0, 1, 5, 40, 1000),
    });
    let refused = 0;
    fc.assert(
      fc.property(superPacket, damage, ({ header, bytes }, { at, value, cut }) => {
        // The first 10 bytes are the virtio-net header; the checksum field is the kernel's to set.
        const whole = Uint8Array.from([...vnetHeaderBytes(header), ...bytes]);
        whole[at] = value;
        const damaged = parseVnetHeader(whole);
        const packet = whole.slice(10, Math.max(10, whole.length - cut));
        const tcp = (damaged.gsoType & 0x7f) !== 5;
        const transport = damaged.checksumStart;
        if (damaged.gsoSize !== 0 && packet.length / damaged.gsoSize > 3000) return;
        if (damaged.gsoType !== 0 && plainSegment(damaged, packet) !== undefined) {
          leaveChecksumUnfinished(packet, transport, tcp);
        }
        const expected = plainSegment(damaged, packet);
        if (expected === undefined) refused++;
        expect(hex(segment(damaged, packet))).toEqual(hex(expected));
      }),
      { numRuns: 2000 },
    );
    expect(refused).toBeGreaterThan(200);
  });

  test('FIN and PSH end up on the last segment only, CWR on the first only, ECE on all', () => {
    const { bytes, transport } = build({ ...SHAPE, flags: 0xd9, payload: payloadOf(250, 1) });
    leaveChecksumUnfinished(bytes, transport, true);
    const header = { flags: 1, gsoType: 0x81, headerLength: 40, gsoSize: 100 };
    const segments = segment({ ...header, checksumStart: 20, checksumOffset: 16 }, bytes)!;
    expect(segments.map((one) => one[33])).toEqual([0xd0, 0x50, 0x59]);
    expect(segments.map((one) => one.length)).toEqual([140, 140, 90]);
  });

  test('a UDP checksum that would be zero is sent as 0xffff', () => {
    // The two payload bytes are chosen so that the sum becomes 0xffff.
    for (let value = 0; value <= 0xffff; value += 1) {
      const payload = Uint8Array.of(value >> 8, value & 255);
      const { bytes, transport } = build({ ...SHAPE, protocol: 'udp', payload });
      if (bytes[26] !== 0xff || bytes[27] !== 0xff) continue;
      leaveChecksumUnfinished(bytes, transport, false);
      const header = {
        flags: 1,
        headerLength: 28,
        gsoSize: 2,
        checksumStart: 20,
        checksumOffset: 6,
      };
      for (const gsoType of [0, 5]) {
        expect([...segment({ ...header, gsoType }, bytes)![0]!.subarray(26, 28)]).toEqual([
          255, 255,
        ]);
      }
      return;
    }
    expect.unreachable();
  });

  test('the pseudo header is taken from the packet, so a routing header does not matter', () => {
    const { bytes, transport } = build({
      ...SHAPE,
      version: 6,
      extensionHeaders: 1,
      payload: payloadOf(100, 3),
    });
    bytes[6] = 43; // routing header: the checksum is over the final destination
    const final = bytes.slice();
    final[39] = 77;
    leaveChecksumUnfinished(final, transport, true);
    bytes.set(final.subarray(transport + 16, transport + 18), transport + 16);
    const [only] = segment(
      {
        flags: 1,
        gsoType: 4,
        headerLength: 0,
        gsoSize: 1000,
        checksumStart: transport,
        checksumOffset: 16,
      },
      bytes,
    )!;
    const received = only!.slice();
    received[39] = 77;
    expect(checksumsRight(received, transport, true)).toBe(true);
  });
});
