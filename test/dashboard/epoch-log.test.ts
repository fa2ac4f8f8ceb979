import { expect, test } from 'vitest';
import type { StampedEvent } from '../../src/controller/events.ts';
import type { VerdictRecord } from '../../src/controller/store/store.ts';
import { EpochLog } from '../../src/dashboard/epoch-log.ts';

type Change = readonly [node: string, before: boolean | null, allowed: boolean, reason: string];

function committed(epoch: number, members: string[], removed: string[], changes: Change[]) {
  return {
    event: 'epoch_committed',
    epoch,
    started_at: epoch * 1000,
    members,
    removed,
    denied: ['c'],
    changes: changes.map(([node, before, allowed, reason]) => ({
      node,
      before,
      allowed,
      reason,
      explanation: reason,
    })),
  } as unknown as StampedEvent;
}

function verdict(epoch: number, allowed: boolean, sinceEpoch: number | null): VerdictRecord {
  const reason = allowed ? 'passed' : 'score_below_threshold';
  return {
    epoch,
    version: epoch,
    startedAt: epoch * 1000,
    nodeId: 'a',
    allowed,
    reason,
    explanation: reason,
    sinceEpoch,
    inputs: null,
  };
}

const told = (log: EpochLog) =>
  log.latestChanges(10).map(({ epoch, node, what }) => `${epoch} ${node} ${what}`);

test('says who came, who went, and once who never was in', () => {
  const log = new EpochLog();
  log.handle(committed(1, [], [], [['c', null, false, 'no_score']]));
  log.handle(
    committed(
      2,
      ['a'],
      [],
      [
        ['a', null, true, 'passed'],
        ['c', false, false, 'score_below_threshold'],
      ],
    ),
  );
  log.handle(
    committed(
      3,
      [],
      ['a'],
      [
        ['a', true, false, 'score_too_old'],
        ['c', false, false, 'score_too_old'],
      ],
    ),
  );
  expect(told(log)).toEqual(['3 a shut out', '2 c kept out', '2 a let in']);
  expect(log.latestEpochs(10)).toMatchObject([
    { epoch: 3, members: 0, shutOut: 1 },
    { epoch: 2, members: 1, shutOut: 0 },
    { epoch: 1, members: 0, shutOut: 0 },
  ]);
});

test('after a restart it goes on from what the store remembers', () => {
  const log = new EpochLog();
  log.handle(committed(8, ['a'], [], []));
  const records = [
    verdict(5, true, 2),
    verdict(6, false, null),
    verdict(7, true, 7),
    verdict(8, true, 7),
  ];
  log.seed(new Map([['a', records]]));
  expect(told(log)).toEqual(['7 a let in', '6 a shut out']);
  expect(log.latestEpochs(10).map(({ epoch, members }) => [epoch, members])).toEqual([
    [8, 1],
    [7, 1],
    [6, 0],
    [5, 1],
  ]);
});

test('says how long the push of an epoch took, if it is the one that was pushed last', () => {
  const log = new EpochLog(() => ({ epoch: 2, version: 2, ms: 1.5 }));
  for (const epoch of [1, 2]) {
    const event = committed(epoch, [], [], []) as object;
    log.handle({ ...event, version: epoch, commit_ms: 7 } as unknown as StampedEvent);
  }
  const times = log.latestEpochs(2).map(({ commitMs, pushMs }) => [commitMs, pushMs]);
  expect(times).toEqual([
    [7, 1.5],
    [7, null],
  ]);
});

test('what bears on all nodes is told as the log of the controller says it', () => {
  const log = new EpochLog();
  const brake = { epoch: 3, phase: 'frozen', until: null, held: ['a', 'b'], cut: 0 };
  log.handle({ number: 1, at: 5000, event: 'brake', ...brake } as StampedEvent);
  const policy = { rules: ['score >= 0.80'], would_cut: ['a'], members: 3 };
  log.handle({ number: 2, at: 6000, event: 'policy_set', ...policy } as StampedEvent);
  expect(log.latestMarks(10)).toMatchObject([
    { at: 6000, what: 'policy', sentence: expect.stringMatching(/score >= 0\.80.*1 of 3 members/) },
    {
      at: 5000,
      what: 'brake',
      sentence: expect.stringMatching(/2 members would be cut in epoch 3/),
    },
  ]);
  for (let i = 0; i < 1000; i++) {
    log.handle({ number: i, at: i, event: 'brake', ...brake } as StampedEvent);
  }
  expect(log.latestMarks(1e6)).toHaveLength(500);
});

test('is bounded', () => {
  const log = new EpochLog();
  for (let epoch = 1; epoch < 12_000; epoch++) {
    log.handle(committed(epoch, [], [], [['a', epoch % 2 === 0, epoch % 2 === 1, 'passed']]));
  }
  expect(log.latestEpochs(1e6)).toHaveLength(2000);
  expect(log.latestChanges(1e6)).toHaveLength(5000);
});
