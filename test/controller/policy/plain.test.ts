import fc from 'fast-check';
import { expect, test } from 'vitest';
import { NEWCOMER } from '../../../src/controller/policy/standing.ts';
import type { Score } from '../../../src/controller/policy.ts';
import { judge as judgeV1, type Policy } from './support/judge-v1.ts';
import { EPOCH_MS, judgePlain } from './support/plain.ts';

const START = 1_700_000_000_000;
const EVALUATORS = ['e1', 'e2', 'e3'];

/** Near enough to every bound that bounds are hit. */
const value = fc.oneof(
  fc.constantFrom(0, 0.5, 0.69999, 0.7, 0.70001, 1),
  fc.double({ min: 0, max: 1, noNaN: true }),
);

const policies: fc.Arbitrary<Policy> = fc.record({
  threshold: fc.constantFrom(0, 0.5, 0.7, 0.705, 1),
  freshnessS: fc.constantFrom(30, 120, 600),
  suites: fc.uniqueArray(
    fc.record({
      suite: fc.constantFrom('alignment', 'health', 'x'),
      minSamples: fc.constantFrom(1, 20, 50),
      signers: fc.constantFrom('node', 'evaluators'),
    }),
    { minLength: 1, maxLength: 3, selector: (one) => one.suite },
  ),
});

/** What a signer reports in an epoch: of which suite, how long after the boundary. */
const reports = fc.array(
  fc.record({
    suite: fc.constantFrom('alignment', 'health', 'x', 'unknown'),
    signer: fc.constantFrom('self', ...EVALUATORS, 'stranger'),
    score: value,
    samples: fc.constantFrom(1, 19, 20, 50, 1000),
    after: fc.integer({ min: 0, max: EPOCH_MS }),
    heldBack: fc.constantFrom(0, 0, 1000, 119_000, 600_000),
  }),
  { maxLength: 12 },
);

test('a policy of version 1 gives the verdicts that it always gave, sentences included', () => {
  fc.assert(
    fc.property(policies, fc.array(reports, { minLength: 1, maxLength: 8 }), (policy, epochs) => {
      const newest = new Map<string, Score>();
      let standing = NEWCOMER;
      epochs.forEach((inEpoch, epoch) => {
        for (const { after, heldBack, ...one } of inEpoch.toSorted((a, b) => a.after - b.after)) {
          const receivedAt = START + epoch * EPOCH_MS + after;
          const observedAt = receivedAt - heldBack;
          newest.set(`${one.signer} ${one.suite}`, { ...one, observedAt, receivedAt });
        }
        const now = START + (epoch + 1) * EPOCH_MS;
        const scores = [...newest.values()];
        const signers = (rule: { signers: string }) =>
          rule.signers === 'node' ? ['self'] : EVALUATORS;
        const expected = judgeV1(policy, scores, signers, now);
        const judged = judgePlain(policy, scores, signers, now, standing);
        expect(judged.verdict).toEqual(expected);
        standing = judged.standing;
      });
    }),
    { numRuns: 2000 },
  );
});
