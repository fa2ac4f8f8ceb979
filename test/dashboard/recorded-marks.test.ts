import { afterEach, expect, test } from 'vitest';
import type { VerdictRecord } from '../../src/controller/store/store.ts';
import { EpochLog } from '../../src/dashboard/epoch-log.ts';
import { recordedBrakes, recordedPolicies } from '../../src/dashboard/recorded-marks.ts';
import { TestMesh } from '../controller/support/test-mesh.ts';

let mesh: TestMesh | undefined;
afterEach(async () => {
  await mesh?.stop();
  mesh = undefined;
});

const suites = (threshold: number) => [{ suite: 'alignment', threshold, max_age_s: 600 }];
const brake = { max_cut: 0.25, freeze_above: 0.5, freeze_epochs: 2, min_members: 0 };

test('brakes, policies and who asked for them are told after a restart, too', async () => {
  mesh = await TestMesh.start({ epochS: 60 });
  const { clock } = mesh;
  const nodes = await Promise.all(['a', 'b', 'c', 'd'].map((name, i) => mesh!.enrol(name, i + 1)));
  await mesh.report(0.95, ...nodes);
  await mesh.rotate();
  const set = async (threshold: number) => {
    const document = { version: 2, suites: suites(threshold), brake };
    const body = { document, dry_run: false, confirmed: true };
    expect((await mesh!.admin('PUT', '/v1/policy', body)).status).toBe(200);
    await mesh!.report(0.8, ...nodes);
    await clock.advance(60_000);
  };
  await set(0.7);
  await set(0.9); // all four fail: the brake holds them
  await clock.advance(5000);
  await mesh.admin('POST', '/v1/brake/release');
  await mesh.restart({}, 5000);
  const { store } = mesh.controller.services;
  const verdicts = await store.recentVerdicts(100);
  const log = new EpochLog();
  log.seed(verdicts, [...(await recordedPolicies(store, 100)), ...recordedBrakes(verdicts)]);
  const told = log.latestMarks(100).map(({ what, sentence }) => `${what}: ${sentence}`);
  expect(told.toReversed()).toEqual([
    'policy: From here on: alignment: score >= 0.70 and age <= 120 s | no brake', // at its first start
    'policy: The admin socket was asked to set policy',
    'policy: From here on: alignment: score >= 0.70 and age <= 600 s',
    'policy: The admin socket was asked to set policy',
    'policy: From here on: alignment: score >= 0.90 and age <= 600 s',
    'brake: Held by the brake: 4 of 4 members would be cut at once, so nobody is, for 2 epochs or until an operator has decided.',
    'brake: The admin socket was asked to release brake',
    'policy: From here on: alignment: score >= 0.90 and age <= 600 s | no brake', // for one epoch
    expect.stringMatching(/^brake: It holds nobody any more, from epoch \d+ on\.$/),
    'policy: From here on: alignment: score >= 0.70 and age <= 120 s | no brake', // as it is started
  ]);
});

function verdict(epoch: number, held?: string): VerdictRecord {
  const reason = held === undefined ? 'passed' : 'held_by_brake';
  const explanation = `${held ?? 'alignment is at least 0.70'}. Its own 0.3 is below.`;
  return { epoch, startedAt: epoch * 1000, reason, explanation } as VerdictRecord;
}

test('the brake is told when it begins, does otherwise, and ends; not once an epoch', () => {
  const a = [1, 2, 3, 4, 5, 6].map((epoch) =>
    verdict(epoch, { 2: '5 of 8, nobody', 3: '6 of 8, nobody', 4: '6 of 8, the worst 2' }[epoch]),
  );
  const marks = recordedBrakes(new Map([['a', a]]));
  expect(marks.map(({ at, sentence }) => [at, sentence])).toEqual([
    [2000, '5 of 8, nobody.'],
    [4000, '6 of 8, the worst 2.'],
    [5000, 'It holds nobody any more, from epoch 5 on.'],
  ]);
});

test('the newest are told, and no more than asked for', async () => {
  mesh = await TestMesh.start({ epochS: 60 });
  const { store, clock } = mesh.controller.services;
  const asked = { event: 'asked', by: 'ann', what: 'set_policy', about: null } as const;
  for (let i = 0; i < 600; i++) await store.record(clock.now() + i, asked);
  const marks = await recordedPolicies(store, 300);
  expect(marks).toHaveLength(300);
  expect(marks.at(-1)!.at - marks[0]!.at).toBe(299);
  expect(marks.at(-1)!.sentence).toBe('With the access token ann it was asked to set policy');
});

test('what was told since the start is not told twice', () => {
  const log = new EpochLog();
  const asked = { event: 'asked', by: null, what: 'release_brake', about: null } as const;
  log.handle({ number: 1, at: 5000, ...asked });
  log.handle({ number: 2, at: 5000, ...asked, what: 'issue_token' }); // bears on nobody
  const mark = (at: number) => ({ at, what: 'policy', sentence: `at ${at}` }) as const;
  log.seed(new Map(), [mark(5000), mark(2000), mark(1000)]);
  expect(log.latestMarks(10).map(({ at }) => at)).toEqual([5000, 2000, 1000]);
});
