import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { nodeProvider } from '../../src/crypto/node.ts';
import { defaultTransport } from '../../src/crypto/transport-select.ts';
import { javascriptKernel } from '../../src/datapath/checksum.ts';
import { TunnelCore } from '../../src/tunnel/tunnel-core.ts';
import type { Endpoint } from '../../src/wire/endpoint.ts';
import { innerPacket } from '../lab/simulation.ts';

const KEYS = [1, 2].map((byte) => new Uint8Array(32).fill(byte));
const ADDRESSES = [Uint8Array.of(10, 0, 0, 1), Uint8Array.of(10, 0, 0, 2)];
const endpointOf = (side: number): Endpoint => ({
  family: 4,
  address: Uint8Array.of(127, 0, 0, 1),
  port: 1000 + side,
  scope: 0,
});
const publicKeyOf = (side: number) => nodeProvider.x25519Public(KEYS[side]!);

/** Two cores with a session, and what is under way between them: batches, in the order in which they left. */
class Pair {
  readonly batches: { from: number; bytes: Uint8Array; segmentSize: number }[] = [];
  readonly delivered: Uint8Array[] = [];
  onDelivered: (packet: Uint8Array) => void = () => {};
  now = 1000;
  readonly cores = KEYS.map((privateKey, side) => {
    const core = new TunnelCore({
      crypto: nodeProvider,
      random: (length) => new Uint8Array(randomBytes(length)),
      aead: defaultTransport(() => {}).aead,
      kernel: javascriptKernel,
      mtu: 1420,
      maxPeers: 4,
      wallClock: () => 1_700_000_000_000 + this.now,
      output: {
        sendDatagrams: (batch, segmentSize) =>
          void this.batches.push({ from: side, bytes: new Uint8Array(batch), segmentSize }),
        deliver: (packet) => {
          this.delivered.push(new Uint8Array(packet));
          this.onDelivered(packet);
        },
      },
    });
    const other = 1 - side;
    const allowedIps = [{ prefix: { address: ADDRESSES[other]!, length: 32 } }];
    const peer = { publicKey: publicKeyOf(other), endpoint: endpointOf(other), allowedIps };
    core.configure({ privateKey, peers: [peer] }, this.now);
    return core;
  });

  constructor() {
    this.send(0, 100);
    this.arrive();
    this.delivered.length = 0;
  }

  /** IP packets with payloads of these lengths, in one turn. */
  send(side: number, ...lengths: number[]): Uint8Array[] {
    const core = this.cores[side]!;
    const packets = lengths.map((length) =>
      innerPacket(ADDRESSES[side]!, ADDRESSES[1 - side]!, new Uint8Array(randomBytes(length))),
    );
    for (const packet of packets) core.sendPacket(packet, this.now);
    core.flush();
    this.poll();
    return packets;
  }

  arrive(): void {
    for (let batch = this.batches.shift(); batch; batch = this.batches.shift()) {
      const { from, bytes, segmentSize } = batch;
      this.cores[1 - from]!.receiveDatagrams(bytes, segmentSize, endpointOf(from), this.now);
      this.poll();
    }
  }

  private poll(): void {
    for (const core of this.cores) if (core.needsPoll) core.poll(this.now);
  }
}

test('what is sent in one turn leaves together, as far as lengths allow, and arrives in its order', () => {
  const pair = new Pair();
  const packets = pair.send(0, 1300, 1300, 1300, 700, 700, 1400);
  expect(
    pair.batches.map(({ bytes, segmentSize }) => Math.ceil(bytes.length / segmentSize)),
  ).toEqual([4, 1, 1]);
  pair.arrive();
  expect(pair.delivered).toEqual(packets);
  expect(pair.cores.map((core) => core.drops())).toEqual([{}, {}]);
});

test('more than a batch holds leaves before the turn is over', () => {
  const pair = new Pair();
  const packets = pair.send(0, ...new Array<number>(200).fill(64));
  expect(pair.batches.length).toBe(4);
  pair.arrive();
  expect(pair.delivered).toEqual(packets);
});

test('one changed byte costs its packet, and none of the others of its batch', () => {
  const pair = new Pair();
  const packets = pair.send(0, 1300, 1300, 1300, 1300);
  const { bytes, segmentSize } = pair.batches[0]!;
  bytes[segmentSize + 40]! ^= 1;
  pair.arrive();
  expect(pair.delivered).toEqual(packets.toSpliced(1, 1));
  expect(pair.cores[1]!.drops()).toEqual({ authenticationFailed: 1 });
});

test('an answer may be sealed in between, of whatever length', () => {
  const pair = new Pair();
  const packets = pair.send(0, 1300, 1300, 64, 1300);
  const answers: Uint8Array[] = [];
  pair.onDelivered = (packet) => {
    if (answers.length === packets.length) return;
    const answer = innerPacket(ADDRESSES[1]!, ADDRESSES[0]!, new Uint8Array(packet.subarray(20)));
    answers.push(answer);
    pair.cores[1]!.sendPacket(answer, pair.now);
  };
  pair.arrive();
  pair.cores[1]!.flush();
  pair.arrive();
  expect(pair.delivered).toEqual([...packets, ...answers]);
  expect(pair.cores.map((core) => core.drops())).toEqual([{}, {}]);
});

test('a peer that is removed while its batch is delivered is not heard to its end', () => {
  const pair = new Pair();
  const [first] = pair.send(0, 1300, 1300, 1300);
  pair.onDelivered = () =>
    pair.cores[1]!.configure({ peers: [{ publicKey: publicKeyOf(0), remove: true }] }, pair.now);
  pair.arrive();
  expect(pair.delivered).toEqual([first]);
  expect(pair.cores[1]!.drops()).toEqual({ unknownReceiverIndex: 2 });
});

test('what was sent before its peer is removed leaves', () => {
  const pair = new Pair();
  const core = pair.cores[0]!;
  const packet = innerPacket(ADDRESSES[0]!, ADDRESSES[1]!, new Uint8Array(100));
  core.sendPacket(packet, pair.now);
  core.configure({ peers: [{ publicKey: publicKeyOf(1), remove: true }] }, pair.now);
  pair.arrive();
  expect(pair.delivered).toEqual([packet]);
});
