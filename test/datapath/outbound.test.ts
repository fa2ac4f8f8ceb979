import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nodeProvider } from '../../src/crypto/node.ts';
import { KEYPAIR, NONE, PEER } from '../../src/datapath/memory.ts';
import { Staging } from '../../src/datapath/staging.ts';
import {
  IN_FLIGHT,
  REJECT_AFTER_MESSAGES,
  REKEY_AFTER_MESSAGES,
} from '../../src/session/limits.ts';
import { settleNextKeypair } from '../../src/tunnel/slots-in-memory.ts';
import { payloadOf } from './arbitraries.ts';
import { MTU, pair, Side } from './harness.ts';
import {
  address,
  build,
  leaveChecksumUnfinished,
  type PacketShape,
  plainSegment,
  SHAPE,
  type VnetHeader,
  vnetHeaderBytes,
} from './plain.ts';

/** From a (10.0.0.1) to b (10.0.0.2). */
const packet = (length: number, change: Partial<PacketShape> = {}): Uint8Array =>
  build({ ...SHAPE, protocol: 'udp', payload: payloadOf(length - 28, length), ...change }).bytes;

function open(datagram: Uint8Array, key: number): Uint8Array | undefined {
  const counter = Buffer.from(datagram).readBigUInt64LE(8);
  const secret = new Uint8Array(32).fill(key);
  return nodeProvider.aeadOpen(secret, counter, datagram.slice(16), new Uint8Array(0));
}

function superPacket(payload: number, gsoSize: number, change: Partial<PacketShape> = {}) {
  const { bytes, transport, headerLength } = build({
    ...SHAPE,
    payload: payloadOf(payload, 1),
    ...change,
  });
  leaveChecksumUnfinished(bytes, transport, true);
  const header: VnetHeader = {
    flags: 1,
    gsoType: bytes[0]! >> 4 === 4 ? 1 : 4,
    headerLength,
    gsoSize,
    checksumStart: transport,
    checksumOffset: 16,
  };
  return { bytes, header, vnet: vnetHeaderBytes(header) };
}

describe('outbound', () => {
  test('seals a packet for the peer its destination is routed to', () => {
    const { a } = pair();
    const sent = packet(100);
    a.send(sent, 5);
    expect(a.sent.map(({ peer, segmentSize }) => [peer, segmentSize])).toEqual([[1, 32 + 112]]);
    const [datagram] = a.takeSent();
    expect(Buffer.from(datagram!.subarray(0, 16)).toString('hex')).toBe(
      '04000000070000000000000000000000',
    );
    const opened = open(datagram!, 1)!;
    expect([...opened.subarray(0, 100)]).toEqual([...sent]);
    expect([...opened.subarray(100)]).toEqual(new Array(12).fill(0));
    expect(a.peerField(1, 'txBytes')).toBe(144);
    expect(a.peerField(1, 'txPackets')).toBe(1);
    expect(a.peerField(1, 'lastSentAt')).toBe(5);
    expect(a.peerField(1, 'lastDataSentAt')).toBe(5);
    expect(a.drops()).toEqual({});
  });

  test('pads to 16 bytes, but not beyond the MTU', () => {
    const { a } = pair();
    for (const [length, padded] of [
      [28, 32],
      [32, 32],
      [33, 48],
      [1408, 1408],
      [1409, 1420],
      [1420, 1420],
      [1421, 1436],
      [2840, 2840],
    ]) {
      a.send(packet(length!));
      expect([length, a.takeSent()[0]!.length - 32]).toEqual([length, padded]);
    }
    a.outbound.mtu = 1300;
    a.send(packet(1299));
    expect(a.takeSent()[0]!.length - 32).toBe(1300);
  });

  test('counts up, across 2^32 too', () => {
    const { a } = pair();
    a.setCounter(3, 0xfffffffen);
    for (let i = 0; i < 3; i++) a.send(packet(64));
    const counters = a.takeSent().map((datagram) => Buffer.from(datagram).readBigUInt64LE(8));
    expect(counters).toEqual([0xfffffffen, 0xffffffffn, 0x1_00000000n]);
  });

  test.each([4, 6] as const)(
    'a super-packet over IPv%i goes out as one batch of its segments',
    (version) => {
      const { a } = pair();
      const { bytes, header, vnet } = superPacket(20 * 1360 + 77, 1360, { version });
      a.send(bytes, 1, vnet);
      expect(a.sent.length).toBe(1);
      const expected = plainSegment(header, bytes)!;
      const datagrams = a.takeSent();
      expect(datagrams.length).toBe(21);
      datagrams.forEach((datagram, i) => {
        const opened = open(datagram, 1)!;
        const length = expected[i]!.length;
        expect(Buffer.from(opened.subarray(0, length)).equals(expected[i]!)).toBe(true);
        expect(opened.length).toBe(Math.min(MTU, (length + 15) & ~15));
        expect(opened.subarray(length).every((byte) => byte === 0)).toBe(true);
      });
      expect(a.peerField(1, 'txPackets')).toBe(21);
    },
  );

  test('batches are of one peer, equal in size but for the last, within the limits, in order', () => {
    const step = fc.record({
      peer: fc.constantFrom(1, 1, 1, 2),
      length: fc.constantFrom(28, 64, 1400, 1400, 1420, 100, 9000),
      burst: fc.integer({ min: 1, max: 70 }),
      flush: fc.constantFrom(false, false, false, true),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const { a } = pair();
        a.addPeer(2);
        a.install({ slot: 4, peer: 2, send: 9 });
        a.outbound.sendOn(2, 4, false, 0);
        const lengths: Record<number, number[]> = { 1: [], 2: [] };
        for (const { peer, length, burst, flush } of steps) {
          for (let i = 0; i < burst; i++) {
            a.send(packet(length, { destination: peer + 1 }), 1, undefined, false);
            const last = length > MTU ? length % MTU : length;
            lengths[peer]!.push(length - last + Math.min(MTU, (last + 15) & ~15) + 32);
          }
          if (flush) a.outbound.flush();
        }
        a.outbound.flush();
        const seen: Record<number, number[]> = { 1: [], 2: [] };
        const next: Record<number, bigint> = { 1: 0n, 2: 0n };
        for (const { peer, datagrams, segmentSize } of a.sent) {
          expect(datagrams.length).toBeLessThanOrEqual(64);
          expect(datagrams.reduce((sum, one) => sum + one.length, 0)).toBeLessThanOrEqual(65507);
          for (const one of datagrams.slice(0, -1)) expect(one.length).toBe(segmentSize);
          expect(datagrams.at(-1)!.length).toBeLessThanOrEqual(segmentSize);
          for (const one of datagrams) {
            seen[peer]!.push(one.length);
            expect(Buffer.from(one).readBigUInt64LE(8)).toBe(next[peer]!++);
          }
        }
        expect(seen).toEqual(lengths);
      }),
      { numRuns: 40 },
    );
  });

  test('an unfinished checksum is finished', () => {
    const { a } = pair();
    const { bytes, header, vnet } = superPacket(100, 0);
    const single = { ...header, gsoType: 0 };
    vnet.set(vnetHeaderBytes(single));
    a.send(bytes, 1, vnet);
    const opened = open(a.takeSent()[0]!, 1)!;
    expect([...opened.subarray(0, bytes.length)]).toEqual([...plainSegment(single, bytes)![0]!]);
  });

  test('counts what it cannot send under the reason', () => {
    const { a } = pair();
    a.send(new Uint8Array(0));
    a.send(Uint8Array.of(0x45, 0, 0, 20));
    a.send(new Uint8Array(40).fill(0x55));
    expect(a.drops()).toEqual({ tunMalformed: 3 });
    a.send(packet(64, { destination: 200 }));
    a.send(packet(64, { destination: 200, version: 6 }));
    expect(a.drops()).toEqual({ tunMalformed: 3, noPeerForDestination: 2 });
    const { bytes, vnet } = superPacket(3000, 1000);
    vnet[1] = 3; // UFO, which was never asked for
    a.send(bytes, 1, vnet);
    const short = superPacket(3000, 1000);
    a.send(short.bytes.slice(0, 2000), 1, short.vnet);
    expect(a.drops().tunMalformed).toBe(5);
    a.outbound.mtu = 65535;
    a.send(packet(65500));
    expect(a.drops().tooLarge).toBe(1);
    const huge = superPacket(65400, 65495);
    a.send(huge.bytes, 1, huge.vnet);
    expect(a.drops().tooLarge).toBe(1);
    expect(a.takeSent().length).toBe(1);
    expect(a.wanted).toEqual([]);
  });

  describe('keypair', () => {
    test('nothing is sent that would arrive after rejectAt: it is staged, and a handshake wanted once', () => {
      const { a } = pair();
      const end = 180_000 - IN_FLIGHT;
      a.send(packet(64), end - 1);
      expect(a.takeSent().length).toBe(1);
      a.send(packet(64), end);
      a.send(packet(64), end + 1);
      a.outbound.keepalive(1, end + 1);
      expect(a.takeSent()).toEqual([]);
      expect(a.wanted).toEqual([1]);
    });

    test('from rekeyAt on it is still sent, and a handshake wanted once until control has looked', () => {
      const { a } = pair();
      a.install({ slot: 8, peer: 1, rekeyAt: 120_000 });
      a.outbound.sendOn(1, 8, false, 0);
      a.send(packet(64), 119_999);
      expect(a.wanted).toEqual([]);
      a.send(packet(64), 120_000);
      a.send(packet(64), 120_001);
      expect(a.wanted).toEqual([1]);
      Atomics.store(a.memory.i32, (a.memory.peer(1) + PEER.handshakeWanted) >> 2, 0);
      a.send(packet(64), 120_002);
      expect(a.wanted).toEqual([1, 1]);
      expect(a.takeSent().length).toBe(4);
    });

    test('asks for a handshake from message 2^60 on', () => {
      const { a } = pair();
      a.setCounter(3, REKEY_AFTER_MESSAGES - 1n);
      a.send(packet(64));
      expect(a.wanted).toEqual([]);
      a.send(packet(64));
      expect(a.wanted).toEqual([1]);
      expect(a.takeSent().length).toBe(2);
    });

    test('sends right up to REJECT_AFTER_MESSAGES and not one more', () => {
      const { a } = pair();
      a.setCounter(3, REJECT_AFTER_MESSAGES - 2n);
      for (let i = 0; i < 5; i++) a.send(packet(64));
      const counters = a.takeSent().map((datagram) => Buffer.from(datagram).readBigUInt64LE(8));
      expect(counters).toEqual([REJECT_AFTER_MESSAGES - 2n, REJECT_AFTER_MESSAGES - 1n]);
      a.setCounter(3, REJECT_AFTER_MESSAGES - 3n);
      const three = superPacket(3000, 1000);
      a.send(three.bytes, 1, three.vnet);
      expect(a.takeSent().length).toBe(3);
      a.setCounter(3, REJECT_AFTER_MESSAGES - 2n);
      a.send(three.bytes, 1, three.vnet);
      expect(a.takeSent()).toEqual([]);
    });

    test('the next one is sent on from when the peer was heard on it, before control says so', () => {
      const { a } = pair();
      a.install({ slot: 4, peer: 1, send: 9, remoteIndex: 99, sendWhenHeard: true });
      const receiver = (): number => {
        a.send(packet(64));
        return new DataView(a.takeSent()[0]!.buffer).getUint32(4, true);
      };
      expect(receiver()).toBe(7);
      Atomics.store(a.memory.i32, (a.memory.keypair(4) + KEYPAIR.confirmed) >> 2, 1);
      expect(receiver()).toBe(99);
      settleNextKeypair(a.memory, 1, 3); // control prefers the one before
      a.outbound.sendOn(1, 3, false, 1);
      expect(receiver()).toBe(7);
    });

    test('a removed keypair is zeroed and never used again', () => {
      const { a } = pair();
      a.send(packet(64), 1, undefined, false);
      a.outbound.removeKeypair(3);
      expect(a.takeSent().length).toBe(1);
      expect([...a.keysOf(3).subarray(0, 32)]).toEqual(new Array(32).fill(0));
      a.send(packet(64));
      a.outbound.keepalive(1, 1);
      a.outbound.sendOn(1, 3, true, 1);
      expect(a.takeSent()).toEqual([]);
      expect(a.wanted).toEqual([1]);
    });

    test('a slot reused for another peer does not send for the first', () => {
      const { a } = pair();
      a.outbound.removeKeypair(3);
      a.addPeer(2);
      a.install({ slot: 3, peer: 2 });
      a.outbound.sendOn(1, 3, true, 1);
      a.send(packet(64));
      expect(a.takeSent()).toEqual([]);
    });

    test('removing a peer ends it altogether', () => {
      const { a } = pair();
      a.outbound.removePeer(1);
      a.send(packet(64));
      expect(a.drops()).toEqual({ noPeerForDestination: 1 });
      expect([...a.keysOf(3).subarray(0, 32)]).toEqual(new Array(32).fill(0));
    });
  });

  describe('staged packets', () => {
    const fresh = (): Side => {
      const a = new Side();
      a.addPeer(1);
      return a;
    };

    test('wait for a keypair and leave in order', () => {
      const a = fresh();
      for (let i = 0; i < 5; i++) a.send(packet(100 + i));
      const big = superPacket(3000, 1000);
      a.send(big.bytes, 1, big.vnet);
      expect(a.sent).toEqual([]);
      expect(a.wanted).toEqual([1]);
      a.install({ slot: 3, peer: 1 });
      a.outbound.sendOn(1, 3, true, 2);
      const opened = a.takeSent().map((datagram) => open(datagram, 1)!);
      expect(opened.length).toBe(8);
      for (let i = 0; i < 5; i++) {
        expect([...opened[i]!.subarray(0, 100 + i)]).toEqual([...packet(100 + i)]);
      }
      plainSegment(big.header, big.bytes)!.forEach((segment, i) => {
        expect([...opened[5 + i]!.subarray(0, segment.length)]).toEqual([...segment]);
      });
      a.outbound.sendOn(1, 3, false, 3);
      expect(a.takeSent()).toEqual([]);
    });

    test('are at most 128 per peer, the oldest dropped and counted', () => {
      const a = fresh();
      for (let i = 0; i < 200; i++) a.send(packet(100, { id: i }));
      expect(a.drops()).toEqual({ stagedOverflow: 72 });
      a.install({ slot: 3, peer: 1 });
      a.outbound.sendOn(1, 3, false, 2);
      const ids = a.takeSent().map((datagram) => Buffer.from(open(datagram, 1)!).readUInt16BE(4));
      expect(ids).toEqual(Array.from({ length: 128 }, (_, i) => i + 72));
    });

    test('are bounded in bytes per peer and over all peers', () => {
      const a = fresh();
      const { bytes, vnet } = superPacket(60_000, 1360);
      for (let i = 0; i < 50; i++) a.send(bytes, 1, vnet);
      expect(50 - a.memory.drops('stagedOverflow')).toBe(Math.floor((256 << 10) / 60_050));

      const staging = new Staging();
      const packetOf10k = new Uint8Array(10_000);
      let dropped = 0;
      for (let peer = 0; peer < 100; peer++) {
        for (let i = 0; i < 30; i++) dropped += staging.push(peer, packetOf10k, 0, 10_000, 0);
      }
      let kept = 0;
      for (let peer = 0; peer < 100; peer++) kept += staging.count(peer);
      expect(kept).toBe(3000 - dropped);
      expect(kept).toBe(Math.floor((16 << 20) / 10_000));
      for (let peer = 0; peer < 100; peer++) staging.clear(peer);
      expect(staging.push(7, packetOf10k, 0, 10_000, 0)).toBe(0);
    });

    test('are dropped and counted when the handshake is given up', () => {
      const a = fresh();
      for (let i = 0; i < 5; i++) a.send(packet(100));
      a.outbound.dropStaged(1);
      expect(a.drops()).toEqual({ stagedGivenUp: 5 });
      a.install({ slot: 3, peer: 1 });
      a.outbound.sendOn(1, 3, false, 2);
      expect(a.sent).toEqual([]);
    });

    test('are not left to whoever gets the peer slot next', () => {
      const a = fresh();
      a.send(packet(100));
      a.outbound.removePeer(1);
      a.addPeer(1);
      a.install({ slot: 3, peer: 1 });
      a.outbound.sendOn(1, 3, false, 2);
      expect(a.sent).toEqual([]);
    });

    test('with confirm, a keepalive goes out if nothing was staged', () => {
      const a = fresh();
      a.install({ slot: 3, peer: 1 });
      a.outbound.sendOn(1, 3, true, 2);
      const [keepalive, ...others] = a.takeSent();
      expect(others).toEqual([]);
      expect(keepalive!.length).toBe(32);
      expect(open(keepalive!, 1)?.length).toBe(0);
      expect(a.peerField(1, 'lastSentAt')).toBe(2);
      expect(a.peerField(1, 'lastDataSentAt')).toBe(0);
      a.outbound.sendOn(1, NONE, false, 3);
      a.send(packet(100));
      a.outbound.sendOn(1, 3, true, 4);
      expect(a.takeSent().map((datagram) => datagram.length)).toEqual([144]);
    });
  });

  test('two peers never share a batch or a key', () => {
    const { a } = pair();
    a.addPeer(2);
    a.install({ slot: 4, peer: 2, send: 9 });
    a.outbound.sendOn(2, 4, false, 0);
    for (let i = 0; i < 4; i++)
      a.send(packet(64, { destination: 2 + (i % 2) }), 1, undefined, false);
    a.outbound.flush();
    expect(a.sent.map(({ peer, datagrams }) => [peer, datagrams.length])).toEqual([
      [1, 2],
      [2, 2],
    ]);
    for (const { peer, datagrams } of a.sent) {
      const opened = open(datagrams[0]!, peer === 1 ? 1 : 9)!;
      expect([...opened.subarray(16, 20)]).toEqual([...address(4, peer + 1)]);
    }
  });
});
