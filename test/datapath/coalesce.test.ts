import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AllowedIps } from '../../src/datapath/allowedips.ts';
import { javascriptKernel } from '../../src/datapath/checksum.ts';
import { Coalescer } from '../../src/datapath/coalesce.ts';
import { BUFFER, PacketMemory } from '../../src/datapath/memory.ts';
import { simulationAead } from '../lab/aead.ts';
import { payloadOf } from './arbitraries.ts';
import {
  build,
  fixChecksums,
  type PacketShape,
  parseVnetHeader,
  plainSegment,
  SHAPE,
  type VnetHeader,
} from './plain.ts';

const ADDRESS = 0x7fff_1234_5000; // of byte 0: beyond 32 bits, as in a real process
const memory = new PacketMemory({ maxPeers: 1, maxKeypairs: 1, threads: 1, lanes: 1 });
const opened = memory.buffers(0) + BUFFER.opened;

interface Written {
  header: VnetHeader;
  packet: Uint8Array;
  iovecs: number;
}

/** Writes the packets one after the other, then flushes; what comes out. */
function coalesce(packets: Uint8Array[], tcp = true, udp = true): Written[] {
  const written: Written[] = [];
  const coalescer = new Coalescer({
    memory,
    thread: 0,
    lane: 0,
    aead: simulationAead(memory.memory, memory.scratch(0)),
    kernel: javascriptKernel(memory.memory),
    allowedIps: new AllowedIps(),
    memoryAddress: ADDRESS,
    vnetHeader: true,
    coalesceTcp: tcp,
    coalesceUdp: udp,
    sink: {
      handshake: () => expect.unreachable(),
      keypairConfirmed: () => expect.unreachable(),
      writePacket(iovecs, count, length) {
        const bytes: number[] = [];
        for (let i = 0; i < count; i++) {
          const base = Number(memory.view.getBigUint64(iovecs + i * 16, true)) - ADDRESS;
          const size = Number(memory.view.getBigUint64(iovecs + i * 16 + 8, true));
          for (const byte of memory.u8.subarray(base, base + size)) bytes.push(byte);
        }
        expect(bytes.length).toBe(length);
        const all = Uint8Array.from(bytes);
        written.push({ header: parseVnetHeader(all), packet: all.slice(10), iovecs: count });
      },
    },
  });
  let at = opened;
  for (const packet of packets) {
    if (at + packet.length > opened + BUFFER.openedLength) {
      coalescer.flush();
      at = opened;
    }
    memory.u8.set(packet, at);
    if (coalescer.write(at, packet.length)) at = (at + packet.length + 63) & ~63;
  }
  coalescer.flush();
  expect(coalescer.isEmpty).toBe(true);
  return written;
}

const expand = (written: Written[]): Uint8Array[] =>
  written.flatMap(({ header, packet }) => {
    expect(header.gsoType).toBeLessThan(6);
    const segments = plainSegment(header, packet);
    expect(segments).toBeDefined();
    return segments!;
  });

/** Which packets must stay in order among themselves. */
function flowOf(packet: Uint8Array): string {
  const v4 = packet[0]! >> 4 === 4;
  const transport = v4 ? (packet[0]! & 15) * 4 : 40;
  const protocol = v4 ? packet[9] : packet[6];
  const from = v4 ? packet.slice(12, 20) : packet.slice(8, 40);
  const ports = packet.slice(transport, transport + 4);
  return `${protocol} ${Buffer.from(from).toString('hex')} ${Buffer.from(ports).toString('hex')}`;
}

/** Unfragmentable packets may all have the same identification; segmentation counts it up. */
function normal(packet: Uint8Array): string {
  const copy = packet.slice();
  if (copy[0]! >> 4 === 4 && (copy[6]! & 0x40) !== 0) copy.fill(0, 4, 6);
  if (copy[0]! >> 4 === 4) copy.fill(0, 10, 12);
  return Buffer.from(copy).toString('hex');
}

function byFlow(packets: Uint8Array[]): Map<string, string[]> {
  const flows = new Map<string, string[]>();
  for (const packet of packets) {
    const list = flows.get(flowOf(packet)) ?? [];
    list.push(normal(packet));
    flows.set(flowOf(packet), list);
  }
  return flows;
}

/** `count` full segments of one flow, in sequence. */
function segments(shape: Partial<PacketShape>, count: number, size = 1000): Uint8Array[] {
  const base = { ...SHAPE, ...shape };
  return Array.from({ length: count }, (_, i) => {
    const sequence = (base.sequence + i * size) >>> 0;
    const id = (base.id + i) & 0xffff;
    return build({ ...base, sequence, id, payload: payloadOf(size, i) }).bytes;
  });
}

type Event = {
  flow: number;
  size: number;
  flags: number;
  oddity: string;
};

const FLOWS: Partial<PacketShape>[] = [
  {},
  { sourcePort: 40001 },
  { version: 6 },
  { version: 6, sourcePort: 9, sequence: 0xfffffff0 },
  { protocol: 'udp' },
  { protocol: 'udp', version: 6, tos: 2 },
  { dontFragment: false, id: 0xfffe },
  { destination: 9, tcpOptions: Uint8Array.of(1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8) },
  { destination: 10, flags: 0x50 },
  { destination: 11, protocol: 'udp', dontFragment: false },
  { destination: 12, version: 6 },
];

const event: fc.Arbitrary<Event> = fc.record({
  flow: fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(0, 2, 4) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: FLOWS.length - 1 }) },
  ),
  size: fc.constantFrom(...new Array<number>(40).fill(100), 99, 101, 1, 0, 1400),
  flags: fc.constantFrom(
    ...new Array<number>(60).fill(0x10),
    0x18,
    0x11,
    0x50,
    0x90,
    0x30,
    0x14,
    2,
  ),
  oddity: fc.constantFrom(
    ...new Array<string>(60).fill('none'),
    'gap',
    'sameId',
    'idJump',
    'badChecksum',
    'badIpChecksum',
    'noUdpChecksum',
    'otherTos',
    'otherTtl',
    'otherAck',
    'otherWindow',
    'otherOptions',
    'fragment',
    'ipOptions',
    'extension',
    'reservedBits',
    'shortTcpHeader',
    'dontFragment',
    'icmp',
  ),
});

function packetsOf(events: Event[]): Uint8Array[] {
  const states = FLOWS.map((shape) => ({ ...SHAPE, ...shape }));
  return events.map(({ flow, size, flags, oddity }, number) => {
    const state = states[flow]!;
    const shape: PacketShape = {
      ...state,
      flags: flags === 0x10 ? state.flags : flags,
      payload: payloadOf(size, number),
    };
    if (oddity === 'gap') shape.sequence = (shape.sequence + 100) >>> 0;
    if (oddity === 'sameId') shape.id = (shape.id - 1) & 0xffff;
    if (oddity === 'idJump') shape.id = (shape.id + 7) & 0xffff;
    if (oddity === 'otherTos') shape.tos ^= 3;
    if (oddity === 'otherTtl') shape.ttl -= 1;
    if (oddity === 'otherAck') shape.acknowledgement += 1;
    if (oddity === 'otherWindow') shape.window += 1;
    if (oddity === 'dontFragment') shape.dontFragment = !shape.dontFragment;
    if (oddity === 'ipOptions' && shape.version === 4) shape.ipOptions = 1;
    if (oddity === 'extension' && shape.version === 6) shape.extensionHeaders = 1;
    if (oddity === 'otherOptions' && shape.tcpOptions.length > 0) {
      shape.tcpOptions = shape.tcpOptions.map((byte, i) => (i > 7 ? byte ^ 1 : byte));
    }
    state.sequence = (shape.sequence + size) >>> 0;
    state.id = (shape.id + 1) & 0xffff;
    const { bytes, transport } = build(shape);
    const tcp = shape.protocol === 'tcp';
    if (oddity === 'badChecksum') bytes[bytes.length - 1]! ^= 1;
    if (oddity === 'badIpChecksum' && shape.version === 4) bytes[10]! ^= 1;
    if (oddity === 'noUdpChecksum' && !tcp) bytes.fill(0, transport + 6, transport + 8);
    if (oddity === 'icmp') bytes[shape.version === 4 ? 9 : 6] = shape.version === 4 ? 1 : 58;
    if (oddity === 'reservedBits' && tcp) bytes[transport + 12]! |= 1;
    if (oddity === 'shortTcpHeader' && tcp) bytes[transport + 12] = 0x40;
    if (oddity === 'reservedBits' && tcp) fixChecksums(bytes, transport, tcp);
    if (oddity === 'fragment' && shape.version === 4) {
      bytes[6]! |= 0x20;
      fixChecksums(bytes, transport, tcp);
    }
    return bytes;
  });
}

describe('coalescing', () => {
  test('what comes out, segmented again, is what went in, in order within each flow', () => {
    let together = 0;
    fc.assert(
      fc.property(
        fc.array(event, { minLength: 10, maxLength: 100, size: 'max' }),
        fc.boolean(),
        fc.boolean(),
        (events, tcp, udp) => {
          const packets = packetsOf(events);
          const written = coalesce(packets, tcp, udp);
          together += packets.length - written.length;
          expect(byFlow(expand(written))).toEqual(byFlow(packets));
          for (const { header, packet } of written) {
            expect(packet.length).toBeLessThanOrEqual(65535);
            if (header.gsoType === 1 || header.gsoType === 4) expect(tcp).toBe(true);
            if (header.gsoType === 5) expect(udp).toBe(true);
          }
        },
      ),
      { numRuns: 300 },
    );
    expect(together).toBeGreaterThan(1000);
  });

  test('a run of segments becomes one super-packet', () => {
    for (const version of [4, 6] as const) {
      const packets = segments({ version }, 44, 1400);
      const written = coalesce(packets);
      expect(written.length).toBe(1);
      expect(written[0]!.iovecs).toBe(45);
      expect(written[0]!.header).toEqual({
        flags: 1,
        gsoType: version === 4 ? 1 : 4,
        headerLength: version === 4 ? 40 : 60,
        gsoSize: 1400,
        checksumStart: version === 4 ? 20 : 40,
        checksumOffset: 16,
      });
    }
  });

  test('a super-packet never exceeds 65,535 bytes, 128 TCP segments or 64 datagrams', () => {
    const long = coalesce(segments({}, 100, 1400));
    expect(long.length).toBe(3);
    expect(Math.max(...long.map(({ packet }) => packet.length))).toBe(40 + 46 * 1400);
    expect(coalesce(segments({}, 256, 10)).length).toBe(2);
    expect(coalesce(segments({ protocol: 'udp' }, 128, 10)).length).toBe(2);
  });

  test('interleaved flows are put together side by side', () => {
    const flows = Array.from({ length: 8 }, (_, i) => segments({ sourcePort: 1000 + i }, 10, 500));
    const packets = Array.from({ length: 10 }, (_, i) => flows.map((flow) => flow[i]!)).flat();
    expect(coalesce(packets).length).toBe(8);
  });

  test.each([
    ['PSH', { flags: 0x18 }],
    ['FIN', { flags: 0x11 }],
  ])('%s ends a super-packet and is on it', (_, change) => {
    const packets = segments({}, 5, 100);
    packets[2] = build({
      ...SHAPE,
      sequence: 1200,
      id: 3,
      payload: payloadOf(100, 2),
      ...change,
    }).bytes;
    const written = coalesce(packets);
    expect(written.map(({ iovecs }) => iovecs - 1)).toEqual([3, 2]);
    expect(written[0]!.packet[33]).toBe(change.flags);
  });

  test('a shorter segment is the last', () => {
    const packets = segments({}, 2, 100);
    packets.push(build({ ...SHAPE, sequence: 1200, id: 3, payload: payloadOf(50, 2) }).bytes);
    packets.push(build({ ...SHAPE, sequence: 1250, id: 4, payload: payloadOf(50, 2) }).bytes);
    expect(coalesce(packets).map(({ iovecs }) => iovecs - 1)).toEqual([3, 1]);
  });

  test('a packet whose checksum is wrong goes out alone and unchanged', () => {
    const packets = segments({}, 5, 100);
    packets[2]![60]! ^= 1;
    const written = coalesce(packets);
    expect(written.map(({ iovecs }) => iovecs - 1)).toEqual([2, 1, 2]);
    expect(written[1]!.header.flags).toBe(0);
    expect([...written[1]!.packet]).toEqual([...packets[2]!]);
    const first = segments({}, 5, 100);
    first[0]![60]! ^= 1;
    expect(coalesce(first).map(({ iovecs }) => iovecs - 1)).toEqual([1, 4]);
  });
});

describe('a UDP checksum of 0 over IPv6', () => {
  /** A datagram whose sum comes out so that its checksum is 0, and as it has to be sent. */
  function withZeroSum(): { wrong: Uint8Array; right: Uint8Array } {
    const shape = { ...SHAPE, version: 6, protocol: 'udp', payload: payloadOf(100, 1) } as const;
    const { bytes } = build(shape);
    const rest = new DataView(bytes.buffer).getUint16(46); // the checksum moves into the payload
    const payload = shape.payload.slice();
    const view = new DataView(payload.buffer);
    const sum = view.getUint16(0) + rest;
    view.setUint16(0, sum > 0xffff ? sum - 0xffff : sum);
    const right = build({ ...shape, payload }).bytes;
    new DataView(right.buffer).setUint16(46, 0xffff);
    const wrong = right.slice();
    new DataView(wrong.buffer).setUint16(46, 0);
    return { wrong, right };
  }

  test.each([true, false])('becomes 0xffff if it is the sum (offloads %s)', (offloads) => {
    const { wrong, right } = withZeroSum();
    expect(coalesce([wrong], offloads, offloads).map(({ packet }) => packet)).toEqual([right]);
    expect(coalesce([right], offloads, offloads).map(({ packet }) => packet)).toEqual([right]);
  });

  test('stays where it is not the sum: then there is none', () => {
    const { wrong } = withZeroSum();
    wrong[60]! ^= 1;
    expect(coalesce([wrong]).map(({ packet }) => packet)).toEqual([wrong]);
  });
});
