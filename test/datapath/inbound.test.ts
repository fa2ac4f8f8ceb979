import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DEVICE, KEYPAIR, PEER } from '../../src/datapath/memory.ts';
import { REJECT_AFTER_MESSAGES } from '../../src/session/limits.ts';
import { decodeEndpoint } from '../../src/wire/endpoint.ts';
import { payloadOf } from './arbitraries.ts';
import { pair, type Side } from './harness.ts';
import { build, type PacketShape, parseVnetHeader, plainSegment, SHAPE } from './plain.ts';

/** From a (10.0.0.1) to b (10.0.0.2). */
const packet = (length: number, change: Partial<PacketShape> = {}): Uint8Array =>
  build({ ...SHAPE, protocol: 'udp', payload: payloadOf(length - 28, length), ...change }).bytes;

/** The datagrams that `a` makes of these packets. */
function sealed(a: Side, ...packets: Uint8Array[]): Uint8Array[] {
  for (const one of packets) a.send(one);
  return a.takeSent();
}

const keepalive = (a: Side): Uint8Array => {
  a.outbound.keepalive(1, 1);
  return a.takeSent()[0]!;
};

describe('inbound', () => {
  test('opens a packet of a peer and writes it at its own length', () => {
    const { a, b } = pair();
    const sent = packet(99);
    b.receive(sealed(a, sent), 7);
    expect(b.written.map((one) => [...one])).toEqual([[...sent]]);
    expect(b.peerField(0, 'rxBytes')).toBe(32 + 112);
    expect(b.peerField(0, 'rxPackets')).toBe(1);
    expect(b.peerField(0, 'lastReceivedAt')).toBe(7);
    expect(b.peerField(0, 'lastDataReceivedAt')).toBe(7);
    expect(b.memory.f64[(b.memory.keypair(5) + KEYPAIR.lastReceivedAt) >> 3]).toBe(7);
    expect(b.drops()).toEqual({});
  });

  test('a super-datagram is taken apart', () => {
    const { a, b } = pair();
    const packets = Array.from({ length: 20 }, (_, i) => packet(1400, { id: i }));
    packets.push(packet(200));
    b.receive(sealed(a, ...packets));
    expect(b.written.map((one) => [...one])).toEqual(packets.map((one) => [...one]));
  });

  test('a keepalive writes nothing', () => {
    const { a, b } = pair();
    b.receive([keepalive(a)], 9);
    expect(b.written).toEqual([]);
    expect(b.peerField(0, 'lastReceivedAt')).toBe(9);
    expect(b.peerField(0, 'lastDataReceivedAt')).toBe(0);
    expect(b.drops()).toEqual({});
  });

  test('handshake messages of their exact length branch off, others are dropped', () => {
    const { b } = pair();
    for (const [type, length] of [
      [1, 148],
      [2, 92],
      [3, 64],
    ] as const) {
      const message = new Uint8Array(length);
      message[0] = type;
      b.receive([message]);
      expect(b.handshakes.at(-1)).toEqual(message);
      for (const wrong of [length - 1, length + 1]) {
        const other = new Uint8Array(wrong);
        other[0] = type;
        b.receive([other]);
      }
      message[1] = 1; // reserved bytes are zero
      b.receive([message]);
    }
    expect(b.handshakes.length).toBe(3);
    expect(b.drops()).toEqual({ unknownMessageType: 9 });
  });

  test('counts each datagram that it refuses under one reason', () => {
    const { a, b } = pair();
    b.receive([new Uint8Array(0)]);
    b.receive([new Uint8Array(31).fill(4)]);
    expect(b.drops()).toEqual({ datagramTooShort: 2 });
    const [good] = sealed(a, packet(64));
    const unknown = good!.slice();
    unknown[4]! ^= 1;
    b.receive([unknown]);
    expect(b.drops().unknownReceiverIndex).toBe(1);
    b.receive([good!], 180_000);
    expect(b.drops().keypairExpired).toBe(1);
    const exhausted = good!.slice();
    new DataView(exhausted.buffer).setBigUint64(8, REJECT_AFTER_MESSAGES, true);
    b.receive([exhausted]);
    expect(b.drops().keypairExpired).toBe(2);
    b.receive([good!]);
    b.receive([good!]);
    expect(b.drops().replayed).toBe(1);
    expect(b.written.length).toBe(1);
  });

  test('a flipped bit anywhere is refused and changes nothing', () => {
    const { a, b } = pair();
    const [good] = sealed(a, packet(64));
    b.receive([keepalive(a)], 1, 1000);
    b.confirmed.length = 0;
    const before = b.memory.u8.slice(b.memory.peer(0), b.memory.peer(0) + PEER.length);
    for (let i = 8; i < good!.length; i++) {
      const bad = good!.slice();
      bad[i]! ^= 1 << (i & 7);
      b.receive([bad], 99, 2000);
    }
    expect(b.drops()).toEqual({ authenticationFailed: good!.length - 8 });
    expect(b.memory.u8.slice(b.memory.peer(0), b.memory.peer(0) + PEER.length)).toEqual(before);
    expect(b.written).toEqual([]);
    b.receive([good!], 100);
    expect(b.written.length).toBe(1);
  });

  test('a forged counter far ahead does not move the replay window', () => {
    const { a, b } = pair();
    const [good] = sealed(a, packet(64));
    const forged = good!.slice();
    new DataView(forged.buffer).setBigUint64(8, 2n ** 40n, true);
    b.receive([forged]);
    b.receive([good!]);
    expect(b.written.length).toBe(1);
  });

  test('delivers each packet once under loss, reordering and duplication', () => {
    const { a, b } = pair();
    const datagrams = sealed(a, ...Array.from({ length: 50 }, (_, i) => packet(64, { id: i })));
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 49 }), { maxLength: 100 }), (order) => {
        const fresh = pair().b;
        for (const i of order) fresh.receive([datagrams[i]!]);
        expect(fresh.written.length).toBe(new Set(order).size);
      }),
      { numRuns: 30 },
    );
    expect(b.written).toEqual([]);
  });

  test('the first authenticated packet confirms the keypair, once', () => {
    const { a, b } = pair();
    const at = (b.memory.keypair(5) + KEYPAIR.confirmed) >> 2;
    expect(Atomics.load(b.memory.i32, at)).toBe(0);
    b.receive([keepalive(a)]);
    b.receive(sealed(a, packet(64)));
    expect(b.confirmed).toEqual([5]);
    expect(Atomics.load(b.memory.i32, at)).toBe(1);
  });

  describe('roaming', () => {
    const portOf = (side: Side): number | undefined =>
      decodeEndpoint(side.memory.u8, side.memory.peer(0) + PEER.endpoint)?.port;
    const sequence = (side: Side): number =>
      side.memory.i32[(side.memory.peer(0) + PEER.endpointSequence) >> 2]!;

    test('the endpoint follows the last authenticated packet', () => {
      const { a, b } = pair();
      expect(portOf(b)).toBeUndefined();
      b.receive([keepalive(a)], 1, 1000);
      expect(portOf(b)).toBe(1000);
      b.receive(sealed(a, packet(64)), 1, 2000);
      expect(portOf(b)).toBe(2000);
      const [replayed] = sealed(a, packet(64));
      b.receive([replayed!], 1, 2000);
      b.receive([replayed!], 1, 3000);
      expect(portOf(b)).toBe(2000);
    });

    test('what came in through the own TUN device is dropped unopened', () => {
      const { a, b } = pair();
      Atomics.store(b.memory.i32, DEVICE.tunInterface >> 2, 9);
      const sent = sealed(a, packet(64), packet(64));
      const source = Uint8Array.of(10, 0, 0, 2);
      b.receive(sent, 1, 1000, true, { source, sourceInterface: 9 });
      expect(b.drops()).toEqual({ arrivedThroughTunnel: 2 });
      expect(b.written).toEqual([]);
      b.receive(sent, 1, 1000, true, { source, sourceInterface: 8 });
      expect(b.written).toHaveLength(2);
    });

    test('the sequence lock is only touched when the endpoint changes', () => {
      const { a, b } = pair();
      b.receive([keepalive(a)], 1, 1000);
      const before = sequence(b);
      expect(before & 1).toBe(0);
      for (let i = 0; i < 5; i++) b.receive([keepalive(a)], 1, 1000);
      expect(sequence(b)).toBe(before);
      b.receive([keepalive(a)], 1, 1001);
      expect(sequence(b)).toBe(before + 2);
    });
  });

  test('a source that is not routed to this peer is dropped and counted', () => {
    const { a, b } = pair();
    b.addPeer(9);
    b.receive(sealed(a, packet(64, { source: 10 })));
    b.receive(sealed(a, packet(64, { source: 77 })));
    b.receive(sealed(a, packet(80, { source: 10, version: 6 })));
    expect(b.drops()).toEqual({ innerSourceNotAllowed: 3 });
    expect(b.written).toEqual([]);
    expect(b.peerField(0, 'rxPackets')).toBe(3);
  });

  test('an inner packet that lies about its length or version is dropped and counted', () => {
    const { a, b } = pair();
    // What outbound would refuse is sealed as something else and put in its place.
    const seal = (inner: Uint8Array): Uint8Array => {
      const at = a.memory.buffers(0) + 0x200;
      a.memory.u8.set(inner, at);
      const low = a.memory.u32[(a.memory.keypair(3) + KEYPAIR.sendCounterLow) >> 2]!;
      const sink = sealed(a, packet(64))[0]!;
      const aead = sealWith(a, at, inner.length, low);
      return Uint8Array.from([...sink.subarray(0, 16), ...aead]);
    };
    const long = packet(64);
    long[3] = 65;
    const short = packet(64);
    short[0] = 0x44;
    const below = packet(64);
    below.set([0, 19], 2);
    const v6 = build({ ...SHAPE, version: 6, payload: payloadOf(20, 1) }).bytes;
    v6[5] = v6[5]! + 1;
    const version = packet(64);
    version[0] = 0x55;
    const bad = [
      long,
      short,
      below,
      v6,
      version,
      Uint8Array.of(0x45),
      new Uint8Array(16),
      v6.slice(0, 32),
    ];
    for (const inner of bad) b.receive([seal(inner)]);
    expect(b.drops()).toEqual({ innerMalformed: bad.length });
    expect(b.written).toEqual([]);
    b.receive([seal(packet(64))]);
    expect(b.written.length).toBe(1);
  });

  test('a removed keypair is zeroed and opens nothing', () => {
    const { a, b } = pair();
    const [first, second] = sealed(a, packet(64), packet(64));
    b.receive([first!]);
    b.inbound.removeKeypair(5);
    b.receive([second!]);
    expect(b.drops()).toEqual({ unknownReceiverIndex: 1 });
    expect([...b.keysOf(5).subarray(32)]).toEqual(new Array(32).fill(0));
  });

  test('a keypair in a used slot starts with an empty window and unconfirmed', () => {
    const { a, b } = pair();
    const datagrams = sealed(a, packet(64));
    b.receive(datagrams);
    b.inbound.removeKeypair(5);
    b.install({ slot: 5, peer: 0, send: 2, receive: 1, localIndex: 7 });
    b.receive(datagrams);
    expect(b.written.length).toBe(2);
    expect(b.confirmed).toEqual([5, 5]);
  });

  test('several keypairs of one peer are received on side by side', () => {
    const { a, b } = pair();
    const [old] = sealed(a, packet(64));
    a.install({ slot: 4, peer: 1, send: 11, remoteIndex: 8 });
    b.install({ slot: 6, peer: 0, receive: 11, localIndex: 8 });
    a.outbound.sendOn(1, 4, false, 1);
    b.receive(sealed(a, packet(64)));
    b.receive([old!]);
    expect(b.written.length).toBe(2);
    expect(b.confirmed).toEqual([6, 5]);
  });

  test('removing a peer zeroes its keys, its endpoint and its routes', () => {
    const { a, b } = pair();
    b.receive([keepalive(a)]);
    const [late] = sealed(a, packet(64));
    b.inbound.removePeer(0);
    b.receive([late!]);
    expect(b.drops()).toEqual({ unknownReceiverIndex: 1 });
    expect(decodeEndpoint(b.memory.u8, b.memory.peer(0) + PEER.endpoint)).toBeUndefined();
    expect(b.allowedIps.size).toBe(0);
  });

  test('counts handshake bytes that control reports', () => {
    const { b } = pair();
    b.inbound.addTraffic(0, 148);
    expect(b.peerField(0, 'rxBytes')).toBe(148);
    expect(b.peerField(0, 'rxPackets')).toBe(0);
  });

  describe('with virtio-net headers', () => {
    test('segments of one flow are written together, also across receives, until flush', () => {
      const { a, b } = pair({ vnetHeader: true });
      const packets = Array.from(
        { length: 30 },
        (_, i) => build({ ...SHAPE, sequence: i * 1380, id: i, payload: payloadOf(1380, i) }).bytes,
      );
      const datagrams = sealed(a, ...packets);
      b.receive(datagrams.slice(0, 10), 1, 1000, false);
      b.receive(datagrams.slice(10, 20), 1, 1000, false);
      b.receive(datagrams.slice(20), 1, 1000, false);
      expect(b.written).toEqual([]);
      b.inbound.flush();
      expect(b.written.length).toBe(1);
      const [one] = b.written;
      const segments = plainSegment(parseVnetHeader(one!), one!.slice(10))!;
      expect(segments.map((segment) => [...segment])).toEqual(packets.map((sent) => [...sent]));
    });

    test('nothing is lost when more arrives than is kept', () => {
      const { a, b } = pair({ vnetHeader: true });
      let sequence = 0;
      const packets: Uint8Array[] = [];
      for (let round = 0; round < 12; round++) {
        for (let flow = 0; flow < 4; flow++) {
          for (let i = 0; i < 9; i++) {
            const shape = { ...SHAPE, sourcePort: flow, sequence: sequence + i * 1300 };
            packets.push(build({ ...shape, id: round * 9 + i, payload: payloadOf(1300, i) }).bytes);
          }
        }
        sequence += 9 * 1300;
      }
      const datagrams = sealed(a, ...packets);
      for (let at = 0; at < datagrams.length; at += 40) {
        b.receive(datagrams.slice(at, at + 40), 1, 1000, false);
      }
      b.inbound.flush();
      const received = b.written.flatMap(
        (one) => plainSegment(parseVnetHeader(one), one.slice(10))!,
      );
      const key = (one: Uint8Array): string => Buffer.from(one).toString('hex');
      expect(received.map(key).sort()).toEqual(packets.map(key).sort());
      expect(b.written.length).toBeLessThan(packets.length / 8);
    });

    test('coalescing can be switched off at run time', () => {
      const { a, b } = pair({ vnetHeader: true });
      const packets = Array.from(
        { length: 4 },
        (_, i) => build({ ...SHAPE, sequence: i * 100, id: i, payload: payloadOf(100, i) }).bytes,
      );
      const datagrams = sealed(a, ...packets);
      b.receive(datagrams.slice(0, 2), 1, 1000, false);
      b.inbound.setCoalescing(false, false);
      expect(b.written.length).toBe(1);
      b.receive(datagrams.slice(2), 1, 1000, false);
      expect(b.written.length).toBe(3);
      expect([...b.written[2]!]).toEqual([...new Array(10).fill(0), ...packets[3]!]);
    });
  });

  test('any bytes at all are taken without a throw and counted once per datagram', () => {
    const { a, b } = pair({ vnetHeader: true });
    const valid = sealed(
      a,
      packet(64),
      packet(1000),
      build({ ...SHAPE, payload: payloadOf(500, 1) }).bytes,
    );
    const datagram = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc
        .tuple(fc.constantFrom(...valid), fc.nat(), fc.nat(255), fc.nat(40))
        .map(([good, at, value, cut]) => {
          const bad = good.slice(0, good.length - cut);
          bad[at % bad.length] = value;
          return bad;
        }),
      fc.uint8Array({ minLength: 4, maxLength: 160 }).map((bytes) => {
        bytes.set([1 + (bytes[0]! & 3), 0, 0, 0]);
        return bytes;
      }),
    );
    fc.assert(
      fc.property(fc.array(datagram, { maxLength: 10 }), (datagrams) => {
        const count = (): number =>
          Object.values(b.drops()).reduce((sum, n) => sum + n, 0) +
          b.handshakes.length +
          b.written.length;
        for (const one of datagrams) {
          const before = count();
          b.receive([one]);
          expect(count()).toBe(before + 1);
        }
      }),
      { numRuns: 500 },
    );
  });
});

/** Ciphertext and tag of `length` bytes at `at` of a's memory under its keypair 3. */
function sealWith(a: Side, at: number, length: number, counter: number): Uint8Array {
  const out = a.memory.buffers(0) + 0x400;
  a.aead.seal(a.memory.keypair(3) + KEYPAIR.sendKey, counter, 0, out, at, length);
  return a.memory.u8.slice(out, out + length + 16);
}
