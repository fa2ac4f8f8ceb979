import { afterEach, beforeEach, expect, test } from 'vitest';
import { controllerFingerprint, signingKeyId } from '../../src/contract/ids.ts';
import { NodeDirectory } from '../../src/controller/directory.ts';
import { EpochHeaders } from '../../src/controller/epoch-headers.ts';
import type { ControllerEvent } from '../../src/controller/events.ts';
import { Governor } from '../../src/controller/governor.ts';
import { Presence } from '../../src/controller/presence.ts';
import { PublishedLog } from '../../src/controller/record/published-log.ts';
import { completeSettings } from '../../src/controller/settings.ts';
import { SqliteStore } from '../../src/controller/store/sqlite-store.ts';
import { defaultProvider } from '../../src/crypto/select.ts';
import { seededBytes } from '../lab/random.ts';
import { SimClock } from './support/sim-clock.ts';
import { TestNode } from './support/test-node.ts';

/** Two controllers on one store, each with what it knows of it. */
const crypto = defaultProvider();
const settings = completeSettings();
const signingSeed = new Uint8Array(32).fill(6);
const meshId = controllerFingerprint(crypto, crypto.ed25519Public(signingSeed));
const ADDRESSES = ['10.10.0.2', '10.10.0.3', '10.10.0.4'];

interface OneOfTwo {
  readonly directory: NodeDirectory;
  readonly governor: Governor;
  readonly events: ControllerEvent[];
}

let clock: SimClock;
let store: SqliteStore;
let here: OneOfTwo;
let there: OneOfTwo;

function controller(seed: number): OneOfTwo {
  const directory = new NodeDirectory(store, crypto);
  const events: ControllerEvent[] = [];
  const emit = (event: ControllerEvent) => void events.push(event);
  const random = seededBytes(seed);
  const overload = { take: () => 0 };
  const headers = new EpochHeaders({
    crypto,
    settings,
    meshId,
    signingSeed,
    protocolOf: () => undefined,
    log: new PublishedLog({ crypto, store, meshId, signingSeed }),
  });
  const cosigning = { bar: undefined };
  const made = { random, meshId, overload, headers, emit, cosigning };
  const common = { store, directory, settings, clock, crypto, ...made };
  return {
    directory,
    events,
    governor: new Governor({ ...common, presence: new Presence(() => clock.now()) }),
  };
}

beforeEach(async () => {
  clock = new SimClock();
  store = new SqliteStore(':memory:');
  here = controller(1);
  there = controller(2);
  await here.governor.start();
  await there.governor.start();
});
afterEach(async () => {
  await here.governor.close();
  await there.governor.close();
  await store.close();
});

async function enrol(at: OneOfTwo, nodeId: string, key: number) {
  const bytes = (value: number) => new Uint8Array(32).fill(value);
  await store.addToken(
    { id: nodeId, secret: bytes(9), nodeId, expiresAt: 2 * clock.now(), usesLeft: 1 },
    0,
  );
  const keys = new TestNode(nodeId, key);
  const node = {
    nodeId,
    record: keys.record(meshId),
    ...keys.publicKeys,
    endpoint: null,
    enrolledAt: clock.now(),
  };
  const result = await store.enrol(node, nodeId, ADDRESSES);
  if (result.outcome !== 'enrolled') throw new Error(result.outcome);
  at.directory.changed(result.node, result.revision);
  return result.node;
}

const keyIdOf = (key: number) => signingKeyId(crypto, new TestNode('x', key).publicKeys.signing);
const decidedAbout = async () => (await store.currentEpoch())!.decisions.map((one) => one.nodeId);

test('a node that enrolled at one is in the epoch that the other commits, and known there', async () => {
  await enrol(here, 'a', 10);
  await there.governor.rotate();
  expect(await decidedAbout()).toEqual(['a']);
  expect(there.directory.nodeOfKey(keyIdOf(10))?.nodeId).toBe('a');
  await enrol(there, 'b', 20);
  await enrol(here, 'c', 30);
  await here.governor.rotate();
  expect(await decidedAbout()).toEqual(['a', 'b', 'c']);
});

test('a node that enrols while the other decides is in that very epoch', async () => {
  await enrol(here, 'a', 10);
  const scores = store.scores.bind(store);
  let isFirst = true;
  store.scores = async () => {
    if (isFirst) {
      isFirst = false;
      await enrol(here, 'b', 20);
    }
    return scores();
  };
  const before = (await store.currentEpoch())!.epoch;
  const { epoch } = await there.governor.rotate();
  expect(epoch).toBe(before + 1);
  expect(await decidedAbout()).toEqual(['a', 'b']);
});

test('a node that one removed is removed for the other, which says so and does not decide about it', async () => {
  await enrol(here, 'a', 10);
  await there.governor.rotate();
  await here.governor.remove('a');
  expect(here.directory.wasRemoved(keyIdOf(10))).toBe(true);
  expect(there.directory.wasRemoved(keyIdOf(10))).toBe(false);
  expect(await there.governor.remove('a')).toBeUndefined();
  await there.governor.rotate();
  expect(there.directory.nodes.size).toBe(0);
  expect(there.directory.wasRemoved(keyIdOf(10))).toBe(true);
  expect(await decidedAbout()).toEqual([]);
});

test('an endpoint that moved at one is known to the other with the next epoch', async () => {
  await enrol(here, 'a', 10);
  await there.governor.rotate();
  const revision = (await store.setPlaces('a', { endpoint: '192.0.2.1:5' }, clock.now()))!;
  here.directory.changed({ ...here.directory.nodes.get('a')!, endpoint: '192.0.2.1:5' }, revision);
  expect(there.directory.nodes.get('a')?.endpoint).toBeNull();
  await there.governor.rotate();
  expect(there.directory.nodes.get('a')?.endpoint).toBe('192.0.2.1:5');
});

test('what a controller did itself is not read again, and what it missed before that is', async () => {
  let reads = 0;
  const roster = store.roster.bind(store);
  store.roster = () => {
    reads++;
    return roster();
  };
  await enrol(here, 'a', 10);
  await here.governor.rotate();
  await here.governor.remove('a');
  await here.governor.rotate();
  expect(reads).toBe(0);
  await enrol(there, 'b', 20);
  await enrol(here, 'c', 30);
  await here.governor.rotate();
  expect(reads).toBe(1);
  expect([...here.directory.nodes.keys()]).toEqual(['b', 'c']);
});

test('both decide at a boundary: one epoch comes of it, and both know it', async () => {
  await enrol(here, 'a', 10);
  await here.governor.rotate();
  await clock.advance(59_999); // what one did the other has not heard of
  const before = (await store.currentEpoch())!.epoch;
  await clock.advance(1);
  expect((await store.currentEpoch())!.epoch).toBe(before + 1);
  await Promise.all([here.governor.settled(), there.governor.settled()]);
  const [one, other] = [here.governor.current, there.governor.current];
  expect([one?.epoch, one?.version]).toEqual([other?.epoch, other?.version]);
  expect(await decidedAbout()).toEqual(['a']);
});
