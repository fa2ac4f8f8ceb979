import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type Epoch,
  type EpochInput,
  membersOf,
  type NodeVerdict,
  nextBoundary,
  nextEpoch,
} from '../../src/controller/epoch.ts';
import type { Verdict } from '../../src/controller/policy.ts';

const secret = new Uint8Array(32).fill(1);

function verdict(allowed: boolean): Verdict {
  const reason = allowed ? 'passed' : 'score_below_threshold';
  return { allowed, reason, explanation: `${reason}.`, score: 0.5, ageS: 1, suites: [] };
}

function after(
  previous: Epoch | undefined,
  allowed: Record<string, boolean | NodeVerdict>,
  options: Partial<EpochInput> = {},
): Epoch {
  const verdicts = new Map(
    Object.entries(allowed).map(([id, one]): [string, NodeVerdict] => [
      id,
      typeof one === 'boolean' ? { verdict: verdict(one) } : one,
    ]),
  );
  return nextEpoch({ previous, verdicts, observeOnly: false, startedAt: 0, secret, ...options });
}

const members = (epoch: Epoch) => Object.fromEntries(membersOf(epoch));

test('the first epoch is 1.1 and its members begin with it', () => {
  const first = after(undefined, { b: true, a: true, c: false });
  expect(first).toMatchObject({ epoch: 1, version: 1, removed: [] });
  expect(members(first)).toEqual({ a: 1, b: 1 });
});

test('membership counts from the epoch since which it is unbroken', () => {
  const first = after(undefined, { a: true, b: true });
  const second = after(first, { a: true, b: false });
  const third = after(second, { a: true, b: true });
  expect([members(second), second.removed]).toEqual([{ a: 1 }, ['b']]);
  expect([members(third), third.removed]).toEqual([{ a: 1, b: 3 }, []]);
});

test('a node that is gone counts as removed, one that never was a member does not', () => {
  const first = after(undefined, { a: true, b: true, c: false });
  expect(after(first, { a: true }).removed).toEqual(['b']);
  expect(after(first, {}).removed).toEqual(['a', 'b']);
});

test('ids are in byte order', () => {
  const names = ['node-10', 'node-2', 'a', '-', '0', 'node'];
  const first = after(undefined, Object.fromEntries(names.map((name) => [name, true])));
  const order = ['-', '0', 'a', 'node', 'node-10', 'node-2'];
  expect([...membersOf(first).keys()]).toEqual(order);
  expect(after(first, {}).removed).toEqual(order);
});

test('while observing only nobody is cut, and the verdict is still told', () => {
  const epoch = after(undefined, { a: false, b: true }, { observeOnly: true });
  expect(members(epoch)).toEqual({ a: 1, b: 1 });
  expect(epoch.decisions[0]).toMatchObject({ reason: 'observed_score_below_threshold' });
  expect(epoch.decisions[0]!.explanation).toContain('observing only. score_below_threshold');
});

test('a member that is waited for stays, unless its last score was bad or it was none', () => {
  const waited = (allowedIfFresh: boolean): NodeVerdict => ({
    verdict: verdict(false),
    allowedIfFresh,
  });
  const first = after(undefined, { a: true, b: true, c: false });
  const second = after(first, { a: waited(true), b: waited(false), c: waited(true) });
  expect(members(second)).toEqual({ a: 1 });
  expect(second.decisions[0]).toMatchObject({ reason: 'awaiting_report' });
});

test('after a restored epoch nobody has been a member without a break', () => {
  const first = after(undefined, { a: true });
  const restored = { ...first, epoch: 1_000_001, version: 1_000_001, secret: undefined };
  const next = after(restored, { a: true });
  expect(next).toMatchObject({ epoch: 1_000_002, version: 1_000_002 });
  expect(members(next)).toEqual({ a: 1_000_002 });
});

test('over any history: numbers grow, removed and members follow from the two epochs', () => {
  const step = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.boolean(), {
    noNullPrototype: true,
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (history) => {
      let previous: Epoch | undefined;
      const unbroken = new Map<string, number>();
      for (const allowed of history) {
        const next = after(previous, allowed);
        const before = [...unbroken.keys()];
        for (const id of before) if (allowed[id] !== true) unbroken.delete(id);
        for (const [id, is] of Object.entries(allowed)) {
          if (is && !unbroken.has(id)) unbroken.set(id, next.epoch);
        }
        expect(next.epoch).toBe((previous?.epoch ?? 0) + 1);
        expect(new Map(membersOf(next))).toEqual(unbroken);
        expect(next.removed).toEqual(before.filter((id) => allowed[id] !== true).sort());
        previous = next;
      }
    }),
  );
});

test('boundaries are whole periods from the anchor, whenever one looks', () => {
  expect(nextBoundary(1000, 60_000, 1000)).toBe(61_000);
  expect(nextBoundary(1000, 60_000, 60_999)).toBe(61_000);
  expect(nextBoundary(1000, 60_000, 61_000)).toBe(121_000);
  expect(nextBoundary(1000, 60_000, 600_123)).toBe(601_000);
});
