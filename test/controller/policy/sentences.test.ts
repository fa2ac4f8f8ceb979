import { expect, test } from 'vitest';
import { ruleText, verdictOf } from '../../../src/controller/policy/explain.ts';
import { judge } from '../../../src/controller/policy/judge.ts';
import {
  KNOWN_MEMBER,
  type Standing,
  standingAfter,
} from '../../../src/controller/policy/standing.ts';
import { type CutParameters, PLAIN_RULE, type SuiteRule } from '../../../src/controller/policy.ts';

const EPOCH_MS = 60_000;

/** What the rule says of a member whose epochs have these scores, of 50 samples each, epoch by epoch. */
function said(cut: CutParameters, scores: readonly number[], change: Partial<SuiteRule> = {}) {
  const rule = { ...PLAIN_RULE, cut, ...change };
  let standing: Standing = KNOWN_MEMBER;
  return scores.map((score, epoch) => {
    const now = (epoch + 2) * EPOCH_MS;
    const at = { observedAt: now, receivedAt: now };
    const one = { suite: rule.suite, signer: 'self', score, samples: 50, ...at };
    const evidence = { scores: [one], signersOf: () => ['self'], standing };
    const moment = { now, epochMs: EPOCH_MS, excused: new Map<string, string>() };
    const judgement = judge([rule], evidence, moment);
    const { reason, explanation } = verdictOf(judgement, standing);
    const { allowed, tracks } = judgement;
    standing = standingAfter(standing, tracks, allowed, { epoch, why: explanation });
    return `${reason}: ${explanation}`;
  });
}

test('k of n counts epochs', () => {
  const [first, second] = said({ kind: 'k_of_n', of: 3, failed: 2 }, [0.6, 0.65]);
  expect(first).toBe(
    'tolerated: alignment score 0.60 is below the threshold of 0.70; failed 1 of the last 1 epochs: 0.60, which is not enough to be cut.',
  );
  expect(second).toContain('; failed 2 of the last 2 epochs: 0.60, 0.65.');
});

test('CUSUM adds up what is missing', () => {
  const [first, second] = said({ kind: 'cusum', ref: 0.7, h: 0.15 }, [0.6, 0.6]);
  expect(first).toContain('; together 0.10 short of 0.70 (cut at 0.15): 0.60');
  expect(second).toContain('score_below_threshold');
  expect(second).toContain('; together 0.15 short of 0.70 (cut at 0.15): 0.60, 0.60.');
});

test('confidence names its bound, also when a node is let in again', () => {
  const cut = { kind: 'confidence', level: 0.95 } as const;
  const [tolerated, out, waits, back] = said(cut, [0.65, 0.3, 0.9, 0.9], { back: 2 });
  expect(tolerated).toContain('with 95 % confidence it is at most 0.75 (50 samples)');
  expect(out).toContain('score_below_threshold');
  expect(waits).toContain('on_probation');
  expect(back).toMatch(/^passed: .*with 95 % confidence it is at most 0\.95 \(50 samples\)\.$/);
});

test('each kind says in a line when it cuts', () => {
  const line = (cut: CutParameters) => ruleText({ ...PLAIN_RULE, cut });
  expect(line({ kind: 'k_of_n', of: 1, failed: 1 })).not.toContain('cut');
  expect(line({ kind: 'k_of_n', of: 5, failed: 3 })).toContain('cut after 3 of 5 epochs failed');
  expect(line({ kind: 'cusum', ref: 0.75, h: 0.3 })).toContain(
    'cut when scores together are 0.30 short of 0.75',
  );
  expect(line({ kind: 'confidence', level: 0.95 })).toContain(
    'cut when under it with 95 % confidence',
  );
});
