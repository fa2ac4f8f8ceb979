import fc from 'fast-check';
import { expect, test } from 'vitest';
import { anyShape, payloadOf } from './arbitraries.ts';
import { MTU, pair } from './harness.ts';
import {
  build,
  leaveChecksumUnfinished,
  parseVnetHeader,
  plainSegment,
  type VnetHeader,
  vnetHeaderBytes,
} from './plain.ts';

const hex = (packet: Uint8Array): string => Buffer.from(packet).toString('hex');

/** What the kernel of side a hands out: packets and super-packets from a to b of all kinds. */
const fromTun = fc
  .record({
    shape: anyShape,
    payload: fc.constantFrom(0, 1, 100, 1200, 5000, 20_000),
    gsoSize: fc.constantFrom(0, 200, 1200),
    unfinished: fc.boolean(),
    seed: fc.nat(255),
  })
  .map(({ shape, payload, gsoSize, unfinished, seed }) => {
    const single = gsoSize === 0;
    const size = single ? Math.min(payload, 1200) : payload;
    const built = build({ ...shape, source: 1, destination: 2, payload: payloadOf(size, seed) });
    const tcp = shape.protocol === 'tcp';
    const header: VnetHeader = {
      flags: !single || unfinished ? 1 : 0,
      gsoType: single || size === 0 ? 0 : tcp ? (shape.version === 4 ? 1 : 4) : 5,
      headerLength: built.headerLength,
      gsoSize,
      checksumStart: built.transport,
      checksumOffset: tcp ? 16 : 6,
    };
    if (header.flags === 1) leaveChecksumUnfinished(built.bytes, built.transport, tcp);
    return { header, bytes: built.bytes };
  });

test('what one TUN device hands out, the other gets: the same packets, in order within a flow', () => {
  fc.assert(
    fc.property(fc.array(fromTun, { maxLength: 25, size: 'max' }), fc.boolean(), (all, flushes) => {
      const { a, b } = pair({ vnetHeader: true });
      const sent = all.flatMap(({ header, bytes }) => plainSegment(header, bytes)!);
      for (const { header, bytes } of all) {
        a.send(bytes, 1, vnetHeaderBytes(header), false);
        for (const { datagrams } of a.sent.splice(0)) b.receive(datagrams, 1, 1000, flushes);
      }
      a.outbound.flush();
      for (const { datagrams, segmentSize } of a.sent.splice(0)) {
        expect(segmentSize).toBeLessThanOrEqual(MTU + 32);
        b.receive(datagrams, 1, 1000, flushes);
      }
      b.inbound.flush();
      expect(a.drops()).toEqual({});
      expect(b.drops()).toEqual({});
      const received = b.written.flatMap(
        (one) => plainSegment(parseVnetHeader(one), one.slice(10))!,
      );
      // Unfragmentable packets may share an identification, which segmentation counts up.
      const normal = (packet: Uint8Array): Uint8Array => {
        const copy = packet.slice();
        if (copy[0]! >> 4 === 4 && (copy[6]! & 0x40) !== 0) copy.fill(0, 4, 6);
        if (copy[0]! >> 4 === 4) copy.fill(0, 10, 12);
        return copy;
      };
      const flows = (packets: Uint8Array[]): Map<string, string[]> =>
        Map.groupBy(
          packets.map((packet) => hex(normal(packet))),
          (text) =>
            // Version, addresses and protocol: coarser than a flow is allowed to be kept apart.
            text.startsWith('4') ? `4 ${text.slice(18, 20)}` : `6 ${text.slice(12, 14)}`,
        );
      expect(flows(received)).toEqual(flows(sent));
    }),
    { numRuns: 150 },
  );
});

test('any bytes from the TUN device are sent, staged or counted, without a throw', () => {
  const valid = fc.sample(fromTun, { numRuns: 40, seed: 1 });
  const damaged = fc
    .tuple(
      fc.constantFrom(...valid),
      fc.array(fc.tuple(fc.nat(120), fc.nat(255)), { maxLength: 3 }),
      fc.constantFrom(0, 0, 1, 30, 5000),
    )
    .map(([{ header, bytes }, changes, cut]) => {
      const whole = Uint8Array.from([...vnetHeaderBytes(header), ...bytes]);
      for (const [at, value] of changes) whole[at % whole.length] = value;
      return whole.slice(0, Math.max(10, whole.length - cut));
    });
  const noise = fc.uint8Array({ minLength: 10, maxLength: 200 });
  let dropped = 0;
  fc.assert(
    fc.property(fc.oneof(damaged, damaged, noise), (read) => {
      const { a } = pair({ vnetHeader: true });
      const vnet = read.slice(0, 10);
      const packet = read.slice(10);
      const gsoSize = parseVnetHeader(vnet).gsoSize;
      if (gsoSize !== 0 && packet.length / gsoSize > 500) return;
      a.send(packet, 1, vnet);
      const drops = Object.values(a.drops()).reduce((sum, n) => sum + n, 0);
      expect(drops + Math.min(1, a.sent.length)).toBe(1);
      dropped += drops;
    }),
    { numRuns: 1000 },
  );
  expect(dropped).toBeGreaterThan(50);
});
