import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { nodeProvider } from '../../src/crypto/node.ts';
import { KEYPAIR, PacketMemory } from '../../src/datapath/memory.ts';
import type { PeerActivity } from '../../src/device/data-plane.ts';
import {
  MAX_LANES,
  SHARED_REJECT_AFTER_MESSAGES,
  SHARED_REKEY_AFTER_MESSAGES,
} from '../../src/session/limits.ts';
import {
  clearHandshakeWanted,
  readActivity,
  writeKeypair,
} from '../../src/tunnel/slots-in-memory.ts';
import { payloadOf } from './arbitraries.ts';
import { Side } from './harness.ts';
import { build, leaveChecksumUnfinished, SHAPE, vnetHeaderBytes } from './plain.ts';

/** From 10.0.0.1 to 10.0.0.2, as the peer with slot 1 may be sent and the one with slot 0 may send. */
const packet = (length = 100): Uint8Array =>
  build({ ...SHAPE, protocol: 'udp', payload: payloadOf(length - 28, length) }).bytes;

function superPacket(payload: number, gsoSize: number): { bytes: Uint8Array; vnet: Uint8Array } {
  const { bytes, transport, headerLength } = build({ ...SHAPE, payload: payloadOf(payload, 1) });
  leaveChecksumUnfinished(bytes, transport, true);
  const vnet = vnetHeaderBytes({
    flags: 1,
    gsoType: 1,
    headerLength,
    gsoSize,
    checksumStart: transport,
    checksumOffset: 16,
  });
  return { bytes, vnet };
}

const LAYOUT = { maxPeers: 4, maxKeypairs: 8, threads: 2, lanes: 2 };

/** Two lanes of one tunnel with the peer `peer`. */
function lanes(peer: number): [Side, Side] {
  const memory = new PacketMemory(LAYOUT);
  const sides: [Side, Side] = [new Side({ memory, lane: 0 }), new Side({ memory, lane: 1 })];
  for (const side of sides) side.addPeer(peer);
  return sides;
}

function install([first, second]: [Side, Side], options: Parameters<Side['write']>[0]): void {
  first.write(options);
  for (const side of [first, second]) {
    side.outbound.installKeypair(options.slot);
    side.inbound.installKeypair(options.slot);
  }
}

/** Lanes that send to peer 1 with keypair 3. */
function senders(options: Partial<Parameters<Side['write']>[0]> = {}): [Side, Side] {
  const both = lanes(1);
  install(both, { slot: 3, peer: 1, send: 1, receive: 2, remoteIndex: 7, ...options });
  for (const { outbound } of both) outbound.sendOn(1, 3, false, 0);
  return both;
}

/** Lanes that receive from peer 0 with keypair 5 what `senders` send. */
function receivers(): [Side, Side] {
  const both = lanes(0);
  install(both, { slot: 5, peer: 0, send: 2, receive: 1, localIndex: 7 });
  return both;
}

const counterOf = (datagram: Uint8Array): number =>
  Number(Buffer.from(datagram).readBigUInt64LE(8));

function opens(datagram: Uint8Array, key: number): boolean {
  const counter = Buffer.from(datagram).readBigUInt64LE(8);
  const secret = new Uint8Array(32).fill(key);
  const body = datagram.slice(16);
  return nodeProvider.aeadOpen(secret, counter, body, new Uint8Array(0)) !== undefined;
}

describe('lanes that send on one keypair', () => {
  test('take its counters in turn, each once', () => {
    const both = senders();
    const counters: number[] = [];
    for (let round = 0; round < 50; round++) {
      const side = both[round % 2]!;
      const { bytes, vnet } = superPacket(3000, 1000);
      if (round % 3 === 0) side.send(bytes, 1, vnet);
      else side.send(packet());
      counters.push(...side.takeSent().map(counterOf));
    }
    expect(counters).toEqual(counters.map((_, i) => i));
  });

  test('ask for a handshake early and never use a counter from the limit on', () => {
    const [first, second] = senders();
    const wantedBy = (side: Side) => {
      clearHandshakeWanted(side.memory, 1);
      return side.wanted.splice(0).length > 0;
    };
    first.setCounter(3, BigInt(SHARED_REKEY_AFTER_MESSAGES - 1));
    second.send(packet());
    expect(wantedBy(second)).toBe(false);
    first.send(packet());
    expect(wantedBy(first)).toBe(true);

    first.setCounter(3, BigInt(SHARED_REJECT_AFTER_MESSAGES - 2));
    for (const side of [first, second]) side.takeSent();
    const { bytes, vnet } = superPacket(3000, 1000);
    first.send(bytes, 1, vnet); // needs three counters, and there are two
    expect(first.takeSent()).toEqual([]);
    for (const side of [second, first, second, first]) side.send(packet());
    first.outbound.keepalive(1, 1);
    const counters = [...second.takeSent(), ...first.takeSent()].map(counterOf);
    expect(counters).toEqual([SHARED_REJECT_AFTER_MESSAGES - 2, SHARED_REJECT_AFTER_MESSAGES - 1]);

    // What was staged leaves on the next keypair.
    install([first, second], { slot: 4, peer: 1, send: 9, receive: 8, remoteIndex: 8 });
    for (const { outbound } of [first, second]) outbound.sendOn(1, 4, false, 2);
    const sent = [...first.takeSent(), ...second.takeSent()];
    expect(sent).toHaveLength(5);
    expect(sent.every((datagram) => opens(datagram, 9))).toBe(true);
    expect(new Set(sent.map(counterOf)).size).toBe(5);
  });

  test('leave enough room behind the limit for all lanes that pass it at once', () => {
    expect(SHARED_REJECT_AFTER_MESSAGES + MAX_LANES * 2 ** 16).toBeLessThan(2 ** 32);
  });

  test('use no counter twice when threads race for the last ones', async () => {
    const layout = { ...LAYOUT, threads: 3, lanes: 3 };
    const memory = new PacketMemory(layout);
    writeKeypair(memory, {
      slot: 3,
      peer: 1,
      sendKey: new Uint8Array(32),
      receiveKey: new Uint8Array(32),
      localIndex: 1,
      remoteIndex: 1,
      rejectAt: 180_000,
      rekeyAt: 120_000,
      sendWhenHeard: false,
    });
    const start = SHARED_REJECT_AFTER_MESSAGES - 60_000;
    memory.u32[(memory.keypair(3) + KEYPAIR.sendCounterLow) >> 2] = start;
    const { bytes, vnet } = superPacket(20_000, 100);
    const ready = new SharedArrayBuffer(4);
    const url = new URL('./lane-sender.ts', import.meta.url);
    const used = await Promise.all(
      Array.from({ length: layout.lanes }, async (_, lane) => {
        const workerData = {
          layout,
          shared: { memory: memory.memory, windows: memory.windows },
          lane,
          packet: bytes,
          header: vnet,
          ready,
        };
        const [counters] = await once(new Worker(url, { workerData }), 'message');
        return counters as number[];
      }),
    );
    const all = used.flat();
    expect(new Set(all).size).toBe(all.length);
    expect(all.length).toBeGreaterThan(59_000);
    for (const counter of all) {
      if (counter < start || counter >= 2 ** 32) expect.unreachable(`counter ${counter}`);
    }
    for (const counters of used) {
      expect(counters.every((counter, i) => i === 0 || counter > counters[i - 1]!)).toBe(true);
    }
  });
});

describe('a keypair that lanes are told to forget one after the other', () => {
  test('keeps its keys until the last one has, and nothing is sealed with zeros', () => {
    const [first, second] = senders();
    first.outbound.removeKeypair(3);
    expect([...first.keysOf(3).subarray(0, 32)]).toEqual(new Array(32).fill(1));
    first.send(packet());
    expect(first.takeSent()).toEqual([]);
    second.send(packet());
    const sent = second.takeSent();
    expect(sent.map((datagram) => opens(datagram, 1))).toEqual([true]);
    second.outbound.removeKeypair(3);
    expect([...first.keysOf(3).subarray(0, 32)]).toEqual(new Array(32).fill(0));
    // The other half has its own key.
    expect([...first.keysOf(3).subarray(32)]).toEqual(new Array(32).fill(2));
    first.inbound.removeKeypair(3);
    second.inbound.removeKeypair(3);
    expect([...first.keysOf(3)]).toEqual(new Array(64).fill(0));
    second.send(packet());
    expect(second.takeSent()).toEqual([]);
  });

  test('goes with its peer, and a lane that forgets twice counts once', () => {
    const [first, second] = senders();
    first.outbound.removeKeypair(3);
    first.outbound.removeKeypair(3);
    first.outbound.removePeer(1);
    second.send(packet());
    expect(second.takeSent().map((datagram) => opens(datagram, 1))).toEqual([true]);
    second.outbound.removePeer(1);
    expect([...first.keysOf(3).subarray(0, 32)]).toEqual(new Array(32).fill(0));
  });

  test('is not let go of by a lane that never was told of it', () => {
    const [first, second] = lanes(1);
    first.write({ slot: 3, peer: 1, send: 1, receive: 2 });
    first.outbound.installKeypair(3);
    second.outbound.removeKeypair(3);
    first.outbound.removeKeypair(3);
    // Held for the lane that is still to be told.
    expect([...first.keysOf(3).subarray(0, 32)]).toEqual(new Array(32).fill(1));
  });

  test('is still received on by the lane that has not forgotten it', () => {
    const [sender] = senders();
    const [first, second] = receivers();
    first.inbound.removeKeypair(5);
    sender.send(packet());
    const [datagram] = sender.takeSent();
    first.receive([datagram!]);
    expect(first.drops()).toEqual({ unknownReceiverIndex: 1 });
    second.receive([datagram!]);
    expect(second.written).toHaveLength(1);
  });
});

describe('lanes that receive on one keypair', () => {
  test('reject what another one has received', () => {
    const [sender] = senders();
    const [first, second] = receivers();
    for (let i = 0; i < 10; i++) sender.send(packet());
    const datagrams = sender.takeSent();
    first.receive(datagrams.slice(0, 5));
    second.receive(datagrams);
    expect(first.written).toHaveLength(5);
    expect(second.written).toHaveLength(5);
    expect(second.drops()).toEqual({ replayed: 5 });
    first.receive(datagrams);
    expect(first.written).toHaveLength(5);
  });

  test('keep the window when a lane is told of the keypair late', () => {
    const [sender] = senders();
    const [first, second] = lanes(0);
    first.write({ slot: 5, peer: 0, send: 2, receive: 1, localIndex: 7 });
    first.inbound.installKeypair(5);
    sender.send(packet());
    const datagrams = sender.takeSent();
    first.receive(datagrams);
    second.inbound.installKeypair(5);
    second.receive(datagrams);
    expect(second.written).toEqual([]);
    expect(second.drops()).toEqual({ replayed: 1 });
  });

  test('begin a new window with the next keypair in the slot', () => {
    const [sender] = senders();
    const both = receivers();
    sender.setCounter(3, 100_000n);
    sender.send(packet());
    both[0].receive(sender.takeSent());
    for (const { inbound } of both) inbound.removeKeypair(5);
    install(both, { slot: 5, peer: 0, send: 2, receive: 1, localIndex: 7 });
    sender.setCounter(3, 0n);
    sender.send(packet());
    const datagrams = sender.takeSent();
    both[1].receive(datagrams);
    expect(both[1].written).toHaveLength(1);
    both[0].receive(datagrams);
    expect(both[0].written).toHaveLength(1); // the first one of all
  });

  test('say once, on whichever comes first, that it is confirmed', () => {
    const [sender] = senders();
    const [first, second] = receivers();
    for (let i = 0; i < 4; i++) sender.send(packet());
    const datagrams = sender.takeSent();
    second.receive([datagrams[0]!]);
    first.receive([datagrams[1]!]);
    second.receive([datagrams[2]!]);
    first.receive([datagrams[3]!]);
    expect([first.confirmed, second.confirmed]).toEqual([[], [5]]);
  });
});

test('what lanes counted for a peer is added up, and the latest time counts', () => {
  const [sender, other] = senders();
  const into: PeerActivity = {
    lastDataSentAt: 9,
    lastSentAt: 9,
    lastDataReceivedAt: 9,
    lastReceivedAt: 9,
    txBytes: 9,
    rxBytes: 9,
  };
  sender.send(packet(), 7);
  other.send(packet(), 5);
  other.outbound.keepalive(1, 8);
  sender.outbound.addTraffic(1, 148);
  readActivity(sender.memory, 1, into);
  expect(into).toEqual({
    lastDataSentAt: 7,
    lastSentAt: 8,
    lastDataReceivedAt: 0,
    lastReceivedAt: 0,
    txBytes: 144 + 144 + 32 + 148,
    rxBytes: 0,
  });
  const [first, second] = receivers();
  const datagrams = [...sender.takeSent(), ...other.takeSent()];
  first.receive([datagrams[0]!], 20);
  second.receive(datagrams.slice(1), 30);
  readActivity(first.memory, 0, into);
  expect(into).toMatchObject({ lastReceivedAt: 30, rxBytes: 144 + 144 + 32 });
  second.inbound.addPeer(0);
  readActivity(first.memory, 0, into);
  expect(into).toMatchObject({ lastReceivedAt: 20, rxBytes: 144 });
});
