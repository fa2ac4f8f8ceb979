import fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import { AllowedIps } from '../../../src/datapath/allowedips.ts';
import { KEYPAIR, NONE, PacketMemory } from '../../../src/datapath/memory.ts';
import type { NewKeypair } from '../../../src/device/data-plane.ts';
import {
  type Batch,
  type InboundOperation,
  inboundThread,
  type OutboundOperation,
  outboundThread,
  threadCount,
} from '../../../src/tunnel/linux/messages.ts';
import { applyRouteChanges, RouteChanges } from '../../../src/tunnel/linux/routes.ts';
import { WorkerDataPlane } from '../../../src/tunnel/linux/worker-data-plane.ts';

type Posted = { thread: number; batch: Batch<OutboundOperation> | Batch<InboundOperation> };

let memory: PacketMemory;
let posted: Posted[];
let plane: WorkerDataPlane;
let events: string[];

beforeEach(() => {
  memory = new PacketMemory({ maxPeers: 4, maxKeypairs: 8, threads: threadCount(1), lanes: 1 });
  posted = [];
  events = [];
  plane = new WorkerDataPlane(memory, (thread, batch) => posted.push({ thread, batch }));
});

const note = (event: string) => () => void events.push(event);
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const operations = (thread: number) =>
  posted.filter((p) => p.thread === thread).flatMap((p) => p.batch.operations.map((o) => o.op));

/** The worker has carried out everything posted to it so far. */
function acknowledge(thread: number): void {
  const last = posted.findLast((p) => p.thread === thread && p.batch.acknowledge);
  if (last !== undefined) plane.acknowledged(thread, last.batch.number);
}

const keypair = (slot: number): NewKeypair => ({
  slot,
  peer: 1,
  sendKey: new Uint8Array(32).fill(0xaa),
  receiveKey: new Uint8Array(32).fill(0xbb),
  localIndex: 0x11223344,
  remoteIndex: 0x55667788,
  rejectAt: 180_000,
  rekeyAt: 120_000,
  sendWhenHeard: false,
});

test('a change is done when both workers have acknowledged it, not before', async () => {
  plane.removePeer(1, note('removed'));
  await turn();
  expect(events).toEqual([]);
  acknowledge(outboundThread(0));
  expect(events).toEqual([]);
  acknowledge(inboundThread(0));
  expect(events).toEqual(['removed']);
});

test('where nothing was asked of the workers, nobody waits for them; they can be woken', async () => {
  plane.settled(note('settled'));
  expect(events).toEqual(['settled']);
  await turn();
  expect(posted).toEqual([]);
  plane.wake();
  plane.settled(note('woken'));
  await turn();
  expect(posted.map(({ thread }) => thread)).toEqual([inboundThread(0), outboundThread(0)]);
  expect(events).toEqual(['settled']);
  acknowledge(outboundThread(0));
  acknowledge(inboundThread(0));
  expect(events).toEqual(['settled', 'woken']);
});

test('with several lanes, a change is done when every worker has acknowledged it', async () => {
  const threads = threadCount(2);
  memory = new PacketMemory({ maxPeers: 4, maxKeypairs: 8, threads, lanes: 2 });
  plane = new WorkerDataPlane(memory, (thread, batch) => posted.push({ thread, batch }));
  plane.removePeer(1, note('removed'));
  await turn();
  for (const thread of [3, 0, 1]) {
    acknowledge(thread);
    expect(events).toEqual([]);
  }
  acknowledge(2);
  expect(events).toEqual(['removed']);
});

test('with several lanes, all hear of changes, and one does what is to be done once', async () => {
  const threads = threadCount(2);
  memory = new PacketMemory({ maxPeers: 4, maxKeypairs: 8, threads, lanes: 2 });
  plane = new WorkerDataPlane(memory, (thread, batch) => posted.push({ thread, batch }));
  plane.addPeer(1);
  plane.allow({ address: Uint8Array.of(10, 0, 0, 1), length: 32 }, 1);
  plane.installKeypair(keypair(3), () => {});
  plane.sendOn(1, 3, true);
  plane.sendKeepalive(1);
  plane.addTraffic(1, 148, 92);
  plane.dropStaged(1);
  plane.setMtu(1400);
  await turn();
  const shared = ['addPeer', 'changeRoutes', 'installKeypair'];
  const sending = [...shared, 'sendOn'];
  expect(operations(outboundThread(0))).toEqual([
    ...sending,
    'keepalive',
    'addTraffic',
    'dropStaged',
    'mtu',
  ]);
  expect(operations(outboundThread(1))).toEqual([...sending, 'dropStaged', 'mtu']);
  expect(operations(inboundThread(0))).toEqual([...shared, 'addTraffic']);
  expect(operations(inboundThread(1))).toEqual(shared);
  // Every inbound worker before any outbound one.
  expect(posted.map(({ thread }) => thread)).toEqual([1, 3, 0, 2]);
  const confirm = posted.flatMap(({ batch }) =>
    batch.operations.flatMap((operation) => (operation.op === 'sendOn' ? [operation.confirm] : [])),
  );
  expect(confirm).toEqual([true, false]);
  const at = memory.keypair(3);
  expect(memory.i32[(at + KEYPAIR.sendHolders) >> 2]).toBe(2);
  expect(memory.i32[(at + KEYPAIR.receiveHolders) >> 2]).toBe(2);
});

test('what control does in one turn goes to each worker as one batch, in order', async () => {
  plane.addPeer(1);
  plane.allow({ address: Uint8Array.of(10, 0, 0, 1), length: 32 }, 1);
  plane.installKeypair(keypair(3), note('installed'));
  plane.sendOn(1, 3, true);
  await turn();
  expect(posted).toHaveLength(2);
  expect(operations(outboundThread(0))).toEqual([
    'addPeer',
    'changeRoutes',
    'installKeypair',
    'sendOn',
  ]);
  expect(operations(inboundThread(0))).toEqual(['addPeer', 'changeRoutes', 'installKeypair']);
});

test('changes are done in the order in which they were asked for', async () => {
  plane.installKeypair(keypair(0), note('first'));
  await turn();
  plane.removeKeypair(0, note('second'));
  plane.settled(note('third'));
  await turn();
  acknowledge(inboundThread(0));
  expect(events).toEqual([]);
  plane.acknowledged(outboundThread(0), posted[0]!.batch.number);
  expect(events).toEqual(['first']);
  acknowledge(outboundThread(0));
  expect(events).toEqual(['first', 'second', 'third']);
});

test('a change asked for while another is being done waits for its own acknowledgement', async () => {
  plane.removeKeypair(0, () => plane.removeKeypair(1, note('second')));
  await turn();
  acknowledge(outboundThread(0));
  acknowledge(inboundThread(0));
  await turn();
  expect(events).toEqual([]);
  acknowledge(outboundThread(0));
  acknowledge(inboundThread(0));
  expect(events).toEqual(['second']);
});

test('keys are in shared memory only, and it is not control that zeroes them', async () => {
  plane.installKeypair(keypair(2), () => {});
  plane.removeKeypair(2, () => {});
  await turn();
  const at = memory.keypair(2);
  expect([...memory.u8.slice(at + KEYPAIR.sendKey, at + KEYPAIR.sendKey + 32)]).toEqual(
    new Array(32).fill(0xaa),
  );
  expect(JSON.stringify(posted)).not.toMatch(/170|187/);
});

test('nothing waits for workers that have ended', async () => {
  plane.removePeer(1, note('waiting'));
  await turn();
  plane.close();
  expect(events).toEqual(['waiting']);
  plane.removeKeypair(1, note('later'));
  expect(events).toEqual(['waiting', 'later']);
  const before = posted.length;
  await turn();
  expect(posted).toHaveLength(before);
});

test('endpoints are in force at once', () => {
  const endpoint = {
    family: 4,
    address: Uint8Array.of(192, 0, 2, 1),
    port: 51820,
    scope: 0,
  } as const;
  plane.addPeer(1);
  expect(plane.getEndpoint(1)).toBeUndefined();
  plane.setEndpoint(1, endpoint);
  expect(plane.getEndpoint(1)).toMatchObject(endpoint);
  plane.setEndpoint(1, undefined);
  expect(plane.getEndpoint(1)).toBeUndefined();
});

test('packed route changes make the same table as the changes one by one', () => {
  const change = fc
    .record({
      v6: fc.boolean(),
      bytes: fc.uint8Array({ minLength: 16, maxLength: 16 }),
      length: fc.nat(128),
      peer: fc.integer({ min: NONE, max: 3 }),
    })
    .map(({ v6, bytes, length, peer }) => ({
      prefix: {
        // few different bits, so that prefixes meet
        address: bytes.slice(0, v6 ? 16 : 4).map((byte) => byte & 0x81),
        length: v6 ? length : length % 33,
      },
      peer,
    }));
  fc.assert(
    fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
      const direct = new AllowedIps();
      const packed = new RouteChanges();
      for (const { prefix, peer } of changes) {
        packed.add(prefix, peer);
        if (peer === NONE) direct.remove(prefix);
        else direct.insert(prefix, peer);
      }
      const table = new AllowedIps();
      applyRouteChanges(packed.take(), table);
      expect(packed.isEmpty).toBe(true);
      expect(table.size).toBe(direct.size);
      for (const { prefix } of changes) {
        const view = new DataView(Uint8Array.from(prefix.address).buffer);
        const lookup = prefix.address.length === 4 ? 'lookup4' : 'lookup6';
        expect(table[lookup](view, 0)).toBe(direct[lookup](view, 0));
      }
    }),
  );
});
