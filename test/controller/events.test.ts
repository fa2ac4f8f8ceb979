import { mkdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { describeControllerEvent, type StampedEvent } from '../../src/controller/events.ts';
import { announceRestoredIn } from '../../src/controller/restored.ts';
import { TestMesh } from './support/test-mesh.ts';

const MIN = 60_000;
let mesh: TestMesh;
let events: StampedEvent[];
const onEvent = (event: StampedEvent) => void events.push(event);
afterEach(() => mesh.stop());

/** Restarted on an empty state, so that it is heard from the start. */
async function listenedTo(): Promise<void> {
  events = [];
  mesh = await TestMesh.start();
  await mesh.restart({ onEvent });
}

/** Events of these kinds, in order. */
function heard<N extends StampedEvent['event']>(...names: N[]) {
  return events.filter((one) => names.includes(one.event as N)) as Extract<
    StampedEvent,
    { event: N }
  >[];
}

/** Until that was told; files are written in real time. */
async function told(name: StampedEvent['event']): Promise<void> {
  await expect.poll(() => heard(name).length).toBeGreaterThan(0);
}

test('the life of a node is told: token, enrolment, scores, membership, removal', async () => {
  await listenedTo();
  const node = await mesh.enrol('a', 1);
  await mesh.report(0.9, node);
  await mesh.rotate();
  await mesh.admin('POST', '/v1/nodes/a/reset-sequence');
  await mesh.admin('DELETE', '/v1/nodes/a');
  const life = heard(
    'token_issued',
    'token_used',
    'enrolled',
    'score_accepted',
    'rotated',
    'sequences_reset',
    'removed',
  );
  expect(life.map((one) => one.event)).toEqual([
    'token_issued',
    'token_used',
    'enrolled',
    'score_accepted',
    'rotated',
    'sequences_reset',
    'removed',
  ]);
  const [reset] = heard('sequences_reset');
  expect(describeControllerEvent(reset!)).toBe('The sequences about a start anew');
  expect(describeControllerEvent({ event: 'of_the_future' } as never)).toBeUndefined();
  const [issued, used] = heard('token_issued', 'token_used');
  expect(used!.token).toBe(issued!.token);
  expect(heard('score_accepted')).toMatchObject([{ node: 'a', score: 0.9, suite: 'alignment' }]);
  const epochs = heard('epoch_committed');
  expect(epochs.at(-2)).toMatchObject({
    members: ['a'],
    denied: [],
    changes: [{ node: 'a', allowed: true }],
  });
  expect(epochs.at(-1)).toMatchObject({ members: [], removed: ['a'] });
});

test('an epoch tells whose verdict changed, and not again', async () => {
  await listenedTo();
  const [a, b] = [await mesh.enrol('a', 1), await mesh.enrol('b', 2)];
  await mesh.report(0.9, a, b);
  await mesh.rotate();
  await mesh.report(0.2, b);
  await mesh.rotate();
  await mesh.rotate();
  const [cut, after] = heard('epoch_committed').slice(-2);
  expect(cut).toMatchObject({
    members: ['a'],
    removed: ['b'],
    denied: ['b'],
    changes: [{ node: 'b', allowed: false, reason: 'score_below_threshold' }],
  });
  expect(after).toMatchObject({ members: ['a'], removed: [], denied: ['b'], changes: [] });
  expect(describeControllerEvent(cut!)).toMatch(/: a, without b; b OUT: /);
});

test('after a restart it says for whom it waits, and a failed commit is told', async () => {
  await listenedTo();
  const node = await mesh.enrol('a', 1);
  await mesh.report(0.9, node);
  await mesh.rotate();
  await mesh.restart({ onEvent });
  expect(heard('waiting')).toMatchObject([{ members: ['a'] }]);
  const { store } = mesh.controller.services;
  const broken = vi.spyOn(store, 'commitEpoch').mockRejectedValueOnce(new Error('disk full'));
  await mesh.clock.advance(2 * MIN);
  broken.mockRestore();
  expect(heard('epoch_failed')).toMatchObject([{ detail: 'disk full' }]);
});

test('a restored state says that it is one', async () => {
  await listenedTo();
  const before = await mesh.epoch();
  await mesh.restart({ onEvent }, 0, (state) => announceRestoredIn(state, mesh.clock.now()));
  expect(heard('restored')).toMatchObject([{ epoch: before.epoch + 1_000_000 }]);
});

test('status.json that cannot be written is told once, and that it can again', async () => {
  await listenedTo();
  const path = join(mesh.state, 'status.json');
  rmSync(path);
  mkdirSync(path); // in its place
  await mesh.rotate();
  await mesh.rotate();
  await told('subscriber_failed');
  expect(heard('subscriber_failed')).toMatchObject([{ subscriber: 'status_file' }]);
  rmdirSync(path);
  await mesh.rotate();
  await told('subscriber_recovered');
  const written = () => JSON.parse(readFileSync(path, 'utf8')) as { epoch: number };
  await expect.poll(() => written().epoch).toBe(5);
});

test('subscribers that hang, throw or take their time delay no epoch', async () => {
  await listenedTo();
  const never = new Promise<void>(() => {});
  const throwing = () => {
    throw new Error('full');
  };
  const blocking = () => {
    const until = performance.now() + 20;
    while (performance.now() < until);
  };
  await mesh.restart({
    onEvent,
    subscribers: [
      { name: 'hanging', capacity: 2, handle: () => never },
      { name: 'throwing', handle: throwing },
      { name: 'blocking', handle: blocking },
    ],
  });
  const { epoch } = await mesh.epoch();
  for (let i = 1; i <= 5; i++) {
    await mesh.clock.advance(MIN);
    expect((await mesh.epoch()).epoch).toBe(epoch + i);
  }
  const { spine } = mesh.controller.services;
  const of = (name: string) => spine.deliveries.find((one) => one.name === name)!;
  expect(of('hanging')).toMatchObject({ handled: 0 });
  expect(of('hanging').dropped).toBeGreaterThan(2);
  expect(of('throwing').failed).toBeGreaterThan(4);
  const failures = heard('subscriber_failed');
  expect(failures).toMatchObject([{ subscriber: 'throwing', detail: 'full' }]);
});

test('no event contains a secret that the controller ever had', async () => {
  await listenedTo();
  const node = await mesh.enrol('a', 1);
  await mesh.report(0.9, node);
  await mesh.rotate();
  const text = JSON.stringify(events) + mesh.log.join('');
  // Ids of tokens are no secrets: what is looked for is as long as a key.
  const secrets = mesh.randoms.filter((bytes) => bytes.length >= 32);
  expect(secrets.length).toBeGreaterThan(2);
  for (const secret of secrets) {
    for (const encoding of ['base64', 'base64url', 'hex'] as const) {
      expect(text).not.toContain(Buffer.from(secret).toString(encoding).replace(/=+$/, ''));
    }
  }
});
