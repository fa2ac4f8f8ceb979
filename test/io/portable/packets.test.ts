import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  buildEcho,
  buildUdp,
  type Echo,
  isTo,
  parseEcho,
  parseUdp,
} from '../../../src/io/portable/packets.ts';

/** Recorded from ping(8) and the kernel's answers on a loopback interface. */
const PING4 = Uint8Array.fromHex(
  '45000025b9ca40004001830b7f0000017f0000010800b3ae08b90001a5a5a5a5a5a5a5a5a5',
);
const PONG4 = Uint8Array.fromHex(
  '45000025b9cb00004001c30a7f0000017f0000010000bbae08b90001a5a5a5a5a5a5a5a5a5',
);
const PING6 = Uint8Array.fromHex(
  '600e6a12000d3a4000000000000000000000000000000001000000000000000000000000000000018000' +
    '70f508bc00010001020304',
);
const PONG6 = Uint8Array.fromHex(
  '600bba81000d3a4000000000000000000000000000000001000000000000000000000000000000018100' +
    '6ff508bc00010001020304',
);

const LOOPBACK4 = Uint8Array.of(127, 0, 0, 1);
const LOOPBACK6 = Uint8Array.fromHex('00000000000000000000000000000001');

const echo4: Echo = {
  kind: 'request',
  source: LOOPBACK4,
  destination: LOOPBACK4,
  identifier: 0x08b9,
  sequence: 1,
  payload: new Uint8Array(9).fill(0xa5),
};
const echo6: Echo = {
  kind: 'request',
  source: LOOPBACK6,
  destination: LOOPBACK6,
  identifier: 0x08bc,
  sequence: 1,
  payload: Uint8Array.of(0, 1, 2, 3, 4),
};

test('reads what ping and the kernel send', () => {
  expect(parseEcho(PING4)).toEqual(echo4);
  expect(parseEcho(PONG4)).toEqual({ ...echo4, kind: 'reply' });
  expect(parseEcho(PING6)).toEqual(echo6);
  expect(parseEcho(PONG6)).toEqual({ ...echo6, kind: 'reply' });
});

test('builds the same bytes behind the IP header', () => {
  expect(buildEcho(echo4).subarray(20)).toEqual(PING4.subarray(20));
  expect(buildEcho({ ...echo4, kind: 'reply' }).subarray(20)).toEqual(PONG4.subarray(20));
  expect(buildEcho(echo6).subarray(40)).toEqual(PING6.subarray(40));
  expect(buildEcho({ ...echo6, kind: 'reply' }).subarray(40)).toEqual(PONG6.subarray(40));
});

test('builds the same IP header but for identification and flow label', () => {
  const expected4 = PING4.slice(0, 20);
  expected4.set([0, 0], 4);
  expected4.set([0x3c, 0xd6], 10); // 0x830b + 0xb9ca, in ones' complement
  expect(buildEcho(echo4).subarray(0, 20)).toEqual(expected4);
  const expected6 = PING6.slice(0, 40);
  expected6.set([0, 0, 0], 1);
  expect(buildEcho(echo6).subarray(0, 40)).toEqual(expected6);
});

/** Slow and obvious: the ones' complement sum is the sum modulo 65535. */
function isSumZero(...parts: Uint8Array[]): boolean {
  let text = '';
  for (const part of parts) text += part.toHex().padEnd(Math.ceil(part.length / 2) * 4, '0');
  let sum = 0n;
  for (const word of text.match(/.{4}/g) ?? []) sum += BigInt(`0x${word}`);
  return sum % 65_535n === 0n;
}

const u16 = fc.integer({ min: 0, max: 0xffff });
const ends = fc.constantFrom(4, 16).chain((length) =>
  fc.record({
    source: fc.uint8Array({ minLength: length, maxLength: length }),
    destination: fc.uint8Array({ minLength: length, maxLength: length }),
  }),
);
const udp = fc
  .record({
    ends,
    sourcePort: u16,
    destinationPort: u16,
    payload: fc.uint8Array({ maxLength: 64 }),
  })
  .map(({ ends, ...rest }) => ({ ...ends, ...rest }));

test('UDP datagrams carry a checksum over their pseudo header', () => {
  fc.assert(
    fc.property(udp, (datagram) => {
      const packet = buildUdp(datagram);
      const header = datagram.source.length === 4 ? 20 : 40;
      const segment = packet.subarray(header);
      const pseudo = Uint8Array.of(0, 17, segment.length >> 8, segment.length & 0xff);
      expect(isSumZero(datagram.source, datagram.destination, pseudo, segment)).toBe(true);
      expect(segment[6]! | segment[7]!).not.toBe(0);
      if (header === 20) expect(isSumZero(packet.subarray(0, 20))).toBe(true);
      expect(parseUdp(packet)).toEqual(datagram);
      expect(isTo(packet, datagram.destination)).toBe(true);
      expect(isTo(packet, datagram.destination.with(-1, ~datagram.destination.at(-1)!))).toBe(
        false,
      );
      expect(isTo(packet, new Uint8Array(header === 20 ? 16 : 4))).toBe(false);
      expect(isTo(packet.subarray(0, header - 1), datagram.destination)).toBe(false);
    }),
  );
});

test('one changed bit is noticed', () => {
  fc.assert(
    fc.property(udp, fc.nat(), (datagram, bit) => {
      const packet = buildUdp(datagram);
      const header = datagram.source.length === 4 ? 20 : 40;
      const at = (bit >> 3) % packet.length;
      packet[at]! ^= 1 << (bit & 7);
      const parsed = parseUdp(packet);
      // The hop limit, the class and the flow label of IPv6 are under no checksum; clearing the
      // only bit of a UDP checksum over IPv4 makes it "none".
      const uncovered = header === 40 && (at < 4 || at === 7);
      const none = header === 20 && packet[26] === 0 && packet[27] === 0;
      if (!uncovered && !none) expect(parsed).toBeUndefined();
    }),
  );
});

test('survives anything', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 100 }),
      fc.constantFrom(0x45, 0x46, 0x60),
      (p, first) => {
        if (p.length > 0) p[0] = first;
        parseEcho(p);
        parseUdp(p);
        isTo(p, new Uint8Array(4));
        isTo(p, new Uint8Array(16));
      },
    ),
  );
  expect(parseEcho(new Uint8Array(0))).toBeUndefined();
  expect(parseUdp(new Uint8Array(0))).toBeUndefined();
});

test('padding behind a packet is no part of it', () => {
  const padded = new Uint8Array(PING4.length + 11);
  padded.set(PING4);
  expect(parseEcho(padded)).toEqual(echo4);
});

test('a UDP datagram over IPv4 may do without a checksum', () => {
  const datagram = {
    source: LOOPBACK4,
    destination: LOOPBACK4,
    sourcePort: 1,
    destinationPort: 2,
    payload: Uint8Array.of(1, 2, 3),
  };
  const packet = buildUdp(datagram);
  packet.set([0, 0], 26);
  expect(parseUdp(packet)).toEqual(datagram);
});

test('fragments are not taken for whole packets', () => {
  const fragment = buildEcho(echo4);
  fragment[6] = 0x20; // more fragments; the header checksum moves by as much
  fragment[10]! += 0x20;
  expect(parseEcho(fragment)).toBeUndefined();
});
