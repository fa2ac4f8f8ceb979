import { expect, test } from 'vitest';
import {
  alertsOf,
  evaluatorViews,
  runsOf,
  type Trouble,
  witnessViews,
} from '../../src/dashboard/health.ts';
import { largeMesh } from './support/large-mesh.ts';

const CALM: Trouble = {
  epochsFailed: 0,
  requestsFailed: 0,
  eventsDropped: 0,
  certificateExpiresAt: undefined,
};
const WELL = largeMesh(3);
const { now } = WELL;
const DAY = 86_400_000;

test('a mesh that is well has nothing to be looked at', () => {
  expect(alertsOf(WELL, CALM)).toEqual([]);
  expect(alertsOf(WELL, { ...CALM, certificateExpiresAt: now + 15 * DAY })).toEqual([]);
});

test.each([
  ['No epochs', { not_ready: 'The state is a backup.' }, {}, /a backup/],
  ['Epoch overdue', { next_rotation_at: now - 90_000 }, {}, /90 s ago/],
  ['Epochs failed', {}, { epochsFailed: 2 }, /^2 since/],
  ['Brake', { brake: brakeOf(['a', 'b']) }, {}, /holds 2 /],
  ['Witnesses', { witnesses: witnessesOf('1 of 2 is behind.') }, {}, /1 of 2/],
  ['Certificate', {}, { certificateExpiresAt: now + 3.5 * DAY }, /in 3 days/],
  ['Certificate', {}, { certificateExpiresAt: now - 1 }, /has ended/],
  ['Internal errors', {}, { requestsFailed: 1 }, /^1 since/],
  ['Events dropped', {}, { eventsDropped: 4 }, /^4 since/],
] as const)('%s is told, and nothing else', (name, document, trouble, detail) => {
  const alerts = alertsOf({ ...WELL, ...document }, { ...CALM, ...trouble });
  expect(alerts).toEqual([{ name, detail: expect.stringMatching(detail) }]);
});

test('counts whose benchmark of a suite is recent, too old, or missing', () => {
  const [one, two, three] = WELL.nodes;
  const nodes = [
    { ...one!, suites: [suite(10), suite(5, 'red-team')] },
    { ...two!, suites: [suite(121), suite(null, 'red-team')] },
    { ...three!, suites: [suite(null)] },
  ];
  expect(runsOf(nodes, now)).toEqual([
    {
      suite: 'alignment',
      fresh: 1,
      tooOld: 1,
      missing: 1,
      newestAt: now - 10_000,
      oldestAt: now - 121_000,
    },
    {
      suite: 'red-team',
      fresh: 1,
      tooOld: 0,
      missing: 1,
      newestAt: now - 5000,
      oldestAt: now - 5000,
    },
  ]);
});

test('an evaluator that has said nothing has no last word', () => {
  const never = { evaluator: 'k', compared: 0, bias: null, distance: null, last_s: null };
  const heard = { ...never, compared: 3, bias: -0.2, distance: 0.2, last_s: 4 };
  expect(evaluatorViews([never, heard], now)).toEqual([
    { evaluator: 'k', compared: 0, bias: null, distance: null, lastAt: null },
    { evaluator: 'k', compared: 3, bias: -0.2, distance: 0.2, lastAt: now - 4000 },
  ]);
});

function suite(age_s: number | null, name = 'alignment') {
  const score = age_s === null ? null : 0.9;
  return { suite: name, score, age_s, samples: 50, max_age_s: 120, passed: true };
}

function brakeOf(held: string[]) {
  return { phase: 'frozen' as const, since: now, until: null, held, cut: 0 };
}

function witnessesOf(fault: string) {
  return { needed: 2, within_epochs: 1, binding: false, fault, each: [] };
}

test('says how far behind each witness is; none where nobody cosigns the log', () => {
  const each = [
    { witness: 'w1', leaves: 12, behind_epochs: 0 },
    { witness: 'w2', leaves: 0, behind_epochs: 7 },
  ];
  expect(witnessViews({ ...witnessesOf('x'), each })).toEqual([
    { witness: 'w1', entries: 12, behind: 0 },
    { witness: 'w2', entries: 0, behind: 7 },
  ]);
  expect(witnessViews(null)).toEqual([]);
});
