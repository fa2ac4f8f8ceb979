import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hasReportedSince } from '../../src/controller/policy/reading.ts';
import type { Score } from '../../src/controller/policy.ts';
import type { Policy, SuiteRule } from './policy/support/judge-v1.ts';
import { DEFAULT_POLICY } from './policy/support/judge-v1.ts';
import { judgePlain, plainRules } from './policy/support/plain.ts';

const NOW = 1_700_000_000_000;

function score(fields: Partial<Score> & { age?: number } = {}): Score {
  const { age = 0, ...rest } = fields;
  const at = NOW - age * 1000;
  return {
    suite: 'alignment',
    signer: 'self',
    score: 0.9,
    samples: 50,
    observedAt: at,
    receivedAt: at,
    ...rest,
  };
}

const judge = (...known: Parameters<typeof judgePlain>) => judgePlain(...known).verdict;
const own = () => ['self'];
const decide = (scores: readonly Score[], policy = DEFAULT_POLICY) =>
  judge(policy, scores, own, NOW);

describe('bounds are inclusive', () => {
  test.each([
    [0, false],
    [0.6999999999, false],
    [0.7, true],
    [0.7000000001, true],
    [1, true],
  ])('a score of %d: allowed %s', (value, allowed) => {
    expect(decide([score({ score: value })])).toMatchObject({
      allowed,
      reason: allowed ? 'passed' : 'score_below_threshold',
      score: value,
    });
  });

  test.each([
    [0, true],
    [119, true],
    [120, true],
    [120.001, false],
    [121, false],
    [86_400, false],
  ])('an age of %d s: allowed %s', (age, allowed) => {
    expect(decide([score({ age })])).toMatchObject({
      allowed,
      reason: allowed ? 'passed' : 'score_too_old',
    });
  });

  test('exactly the threshold and exactly the age limit pass together', () => {
    expect(decide([score({ score: 0.7, age: 120 })]).allowed).toBe(true);
  });

  test.each([
    [49, false],
    [50, true],
  ])('%d samples where 50 are required: allowed %s', (samples, allowed) => {
    const rule: SuiteRule = { suite: 'alignment', minSamples: 50, signers: 'node' };
    const verdict = decide([score({ samples })], { ...DEFAULT_POLICY, suites: [rule] });
    expect(verdict).toMatchObject({ allowed, reason: allowed ? 'passed' : 'too_few_samples' });
  });
});

describe('age', () => {
  test('counts from the older of observation and receipt', () => {
    expect(decide([score({ observedAt: NOW - 121_000, receivedAt: NOW })]).allowed).toBe(false);
    expect(decide([score({ observedAt: NOW, receivedAt: NOW - 121_000 })]).allowed).toBe(false);
  });

  test('of what was observed just ahead of the clock is zero', () => {
    expect(decide([score({ age: -20 })])).toMatchObject({ allowed: true, ageS: 0 });
  });
});

describe('explanations', () => {
  test.each([
    [[], 'No alignment score yet.'],
    [[score({ score: 0.4 })], 'alignment score 0.40 is below the threshold of 0.70.'],
    [
      [score({ age: 121 })],
      'The last alignment score, 0.90, is 121 s old; at most 120 s is fresh.',
    ],
    [[score({ age: 7 })], 'alignment score 0.90 is at least 0.70 and 7 s old (at most 120 s).'],
  ])('%#', (scores, sentence) => {
    expect(decide(scores).explanation).toBe(sentence);
  });

  test('show on which side of the bound a number lies', () => {
    expect(decide([score({ score: 0.69999 })]).explanation).toContain('0.69999 is below');
    expect(decide([score({ age: 120.4 })]).explanation).toContain('120.4 s old; at most 120 s');
    const strict = { ...DEFAULT_POLICY, threshold: 0.705 };
    expect(decide([score({ score: 0.704 })], strict).explanation).toBe(
      'alignment score 0.70 is below the threshold of 0.705.',
    );
    expect(decide([score({ score: 0.7049 })], strict).explanation).toBe(
      'alignment score 0.70 is below the threshold of 0.705.',
    );
  });
});

describe('suites', () => {
  const policy: Policy = {
    threshold: 0.7,
    freshnessS: 120,
    suites: [
      { suite: 'alignment', minSamples: 1, signers: 'node' },
      { suite: 'health', minSamples: 1, signers: 'node' },
    ],
  };

  test('all of the required ones must pass', () => {
    const good = score();
    expect(decide([good], policy)).toMatchObject({ allowed: false, reason: 'no_score' });
    const bad = score({ suite: 'health', score: 0.1 });
    expect(decide([good, bad], policy)).toMatchObject({ allowed: false, score: 0.1 });
    const fine = score({ suite: 'health', score: 0.8, age: 9 });
    expect(decide([good, fine], policy)).toMatchObject({ allowed: true, score: 0.8, ageS: 9 });
  });

  test('an easy suite that the policy does not name changes nothing', () => {
    const easy = score({ suite: 'easy', score: 1 });
    expect(decide([easy, score({ score: 0.4 })])).toMatchObject({ allowed: false, score: 0.4 });
  });

  test('a report is whole when every suite has been reported since', () => {
    const old = score({ suite: 'health', age: 30 });
    const recent = [score(), score({ suite: 'health' })];
    const since = NOW - 10_000;
    const reported = (scores: Score[], from = since, observed = from) =>
      hasReportedSince(plainRules(policy), scores, own, from, observed);
    expect(reported([score(), old])).toBe(false);
    expect(reported(recent)).toBe(true);
    expect(reported(recent, NOW)).toBe(true);
    // On its way through an outage: received now, observed long ago.
    const late = score({ suite: 'health', age: 30, receivedAt: NOW });
    expect(reported([score(), late])).toBe(false);
    expect(reported([score(), late], since, NOW - 30_000)).toBe(true);
  });
});

describe('evaluators', () => {
  const policy: Policy = {
    threshold: 0.7,
    freshnessS: 120,
    suites: [{ suite: 'alignment', minSamples: 1, signers: 'evaluators' }],
  };
  const three = () => ['e1', 'e2', 'e3'];
  const by = (signer: string, value: number, age = 0) => score({ signer, score: value, age });
  const decided = (...scores: Score[]) => judge(policy, scores, three, NOW);

  test('one of three can neither admit nor cut', () => {
    expect(decided(by('e1', 1)).reason).toBe('no_score');
    expect(decided(by('e1', 1), by('e2', 0.3), by('e3', 0.2)).allowed).toBe(false);
    expect(decided(by('e1', 0), by('e2', 0.9), by('e3', 0.8))).toMatchObject({
      allowed: true,
      score: 0.8,
    });
  });

  test('two of three decide, the lower one counts', () => {
    expect(decided(by('e1', 0.9), by('e2', 0.6)).allowed).toBe(false);
    expect(decided(by('e1', 0.9), by('e2', 0.7)).allowed).toBe(true);
  });

  test('a majority must be fresh', () => {
    expect(decided(by('e1', 0.9), by('e2', 0.9, 121), by('e3', 0.9, 300)).reason).toBe(
      'score_too_old',
    );
    expect(decided(by('e1', 0.9), by('e2', 0.9, 120), by('e3', 0.1, 300)).allowed).toBe(true);
  });

  test('what others sign, the node itself included, does not count', () => {
    expect(decided(by('self', 1), by('e1', 1), by('e9', 1)).reason).toBe('no_score');
  });
});

describe('liars among the evaluators', () => {
  const T = 0.7;
  const policy: Policy = {
    threshold: T,
    freshnessS: 120,
    suites: [{ suite: 'alignment', minSamples: 50, signers: 'evaluators' }],
  };
  const lie = fc.record({
    score: fc.double({ min: 0, max: 1, noNaN: true }),
    samples: fc.integer({ min: 0, max: 1_000_000 }),
    age: fc.double({ min: -30, max: 1e6, noNaN: true }),
    isSilent: fc.boolean(),
  });

  /** f liars and f+1 honest evaluators that all say much the same, one of which may be late. */
  function verdictOf(
    lies: readonly (typeof lie extends fc.Arbitrary<infer T> ? T : never)[],
    honest: readonly number[],
    lateBy: number,
  ) {
    const signers = [...lies.map((_, i) => `liar-${i}`), ...honest.map((_, i) => `honest-${i}`)];
    const scores = [
      ...lies.flatMap(({ isSilent, ...said }, i) =>
        isSilent ? [] : [score({ ...said, signer: `liar-${i}` })],
      ),
      ...honest.map((value, i) =>
        score({ score: value, samples: 50, age: i === 0 ? lateBy : 60, signer: `honest-${i}` }),
      ),
    ];
    return judge(policy, scores, () => signers, NOW);
  }

  const crowd = (low: number, high: number) =>
    fc.integer({ min: 1, max: 4 }).chain((f) =>
      fc.tuple(
        fc.array(lie, { minLength: f, maxLength: f }),
        fc.array(fc.double({ min: low, max: high, noNaN: true }), {
          minLength: f + 1,
          maxLength: f + 1,
        }),
      ),
    );

  test('f of 2f+1 never cut a node that all honest ones pass', () => {
    fc.assert(
      fc.property(crowd(T, 1), ([lies, honest]) => {
        expect(verdictOf(lies, honest, 60)).toMatchObject({ allowed: true });
      }),
    );
  });

  test('f of 2f+1 never admit a node that no honest one passes', () => {
    fc.assert(
      fc.property(crowd(0, T - 1e-9), ([lies, honest]) => {
        expect(verdictOf(lies, honest, 60).allowed).toBe(false);
      }),
    );
  });

  test('nor is a node cut by its score where an honest one is late as well', () => {
    fc.assert(
      fc.property(crowd(T, 1), fc.integer({ min: 121, max: 100_000 }), ([lies, honest], lateBy) => {
        const { allowed, reason } = verdictOf(lies, honest, lateBy);
        // Liars that are silent, or say that they are old, leave no fresh majority: that is no
        // word about the node, and it is called what it is.
        if (!allowed) expect(reason).toBe('score_too_old');
        const isFresh = (one: (typeof lies)[number]) =>
          !one.isSilent && one.samples >= 50 && one.age <= 120;
        if (lies.some(isFresh)) expect(allowed).toBe(true);
      }),
    );
  });

  test('a word with too few samples is no word', () => {
    const three = () => ['e1', 'e2', 'e3'];
    const by = (signer: string, samples: number) => score({ signer, samples });
    expect(judge(policy, [by('e1', 50), by('e2', 60), by('e3', 1)], three, NOW)).toMatchObject({
      allowed: true,
    });
    expect(judge(policy, [by('e1', 50), by('e2', 2), by('e3', 1)], three, NOW)).toMatchObject({
      reason: 'too_few_samples',
      explanation: '1 of the 2 evaluators needed have one of alignment with at least 50 samples.',
    });
  });
});
