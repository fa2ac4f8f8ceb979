import { afterEach, expect, test } from 'vitest';
import type { StampedEvent } from '../../src/controller/events.ts';
import { followEvents, readEvents } from '../../src/controller/operations/read-events.ts';
import { orRefuse } from '../../src/controller/problem-error.ts';
import { settled } from './support/sim-clock.ts';
import { TestMesh } from './support/test-mesh.ts';

let mesh: TestMesh;
afterEach(() => mesh.stop());

const ADMIN = { kind: 'admin' } as const;
type Line = StampedEvent | { readonly event: 'missed'; readonly count: number };
const linesOf = (text: string) =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Line);

/** Follows, and reads all; `hold` keeps it from taking more. */
async function reader(routine = false) {
  const read = { text: '', hold: undefined as Promise<void> | undefined };
  const write = async (text: string) => {
    read.text += text;
    await read.hold;
  };
  const open = () => ({ write, end: () => {} });
  const gone = await followEvents(mesh.controller.services, ADMIN, { routine, open });
  return Object.assign(read, {
    gone: orRefuse(gone),
    names: () => linesOf(read.text).map((one) => one.event),
  });
}

test('what has happened is told, without what happens all the time', async () => {
  mesh = await TestMesh.start();
  const node = await mesh.enrol('a', 1);
  await mesh.report(0.9, node);
  const answer = await mesh.admin('GET', '/v1/events');
  expect(answer.headers['content-type']).toContain('application/jsonl');
  expect(linesOf(answer.text).map((one) => one.event)).toEqual([
    'started',
    'epoch_committed',
    'admins_served',
    'asked',
    'token_issued',
    'token_used',
    'enrolled',
  ]);
  expect(answer.text).toBe(orRefuse(await readEvents(mesh.controller.services, ADMIN)));
});

test('who follows hears the past first, then what happens; all of it if asked for', async () => {
  mesh = await TestMesh.start();
  const node = await mesh.enrol('a', 1);
  const [some, all] = [await reader(), await reader(true)];
  await mesh.report(0.9, node);
  await mesh.rotate();
  await settled();
  expect(some.names().slice(-4)).toEqual(['enrolled', 'asked', 'epoch_committed', 'rotated']);
  expect(all.names().slice(-5)).toEqual([
    'enrolled',
    'score_accepted',
    'asked',
    'epoch_committed',
    'rotated',
  ]);
  some.gone();
  await mesh.rotate();
  await settled();
  expect(some.names().at(-1)).toBe('rotated');
  expect(linesOf(all.text).length).toBe(linesOf(some.text).length + 4);
});

test('a reader that stops reading misses events, is told how many, and holds up nobody', async () => {
  mesh = await TestMesh.start();
  const { emit, spine } = mesh.controller.services;
  const [slow, quick] = [await reader(), await reader()];
  await settled();
  const { promise, resolve } = Promise.withResolvers<void>();
  slow.hold = promise;
  emit({ event: 'rotated', epoch: 1, version: 1 });
  await settled();
  for (let i = 2; i <= 1200; i++) emit({ event: 'rotated', epoch: i, version: i });
  const before = (await mesh.epoch()).epoch;
  await mesh.rotate();
  expect((await mesh.epoch()).epoch).toBe(before + 1);
  resolve();
  slow.hold = undefined;
  await spine.drained(10_000);
  emit({ event: 'rotated', epoch: 9999, version: 1 });
  await spine.drained(10_000);
  const missed = linesOf(slow.text).filter((one) => one.event === 'missed');
  const epochs = linesOf(slow.text).flatMap((one) => (one.event === 'rotated' ? [one.number] : []));
  const sum = missed.reduce((all, one) => all + (one.event === 'missed' ? one.count : 0), 0);
  expect(sum).toBeGreaterThan(150);
  expect(linesOf(quick.text).at(-1)).toEqual(linesOf(slow.text).at(-1));
  expect(epochs).toEqual(epochs.toSorted((a, b) => a - b));
});

test('only so many may follow, and who has gone makes room', async () => {
  mesh = await TestMesh.start();
  const readers = await Promise.all(Array.from({ length: 32 }, () => reader()));
  await expect(reader()).rejects.toThrow('overloaded');
  readers[0]!.gone();
  await reader();
});
