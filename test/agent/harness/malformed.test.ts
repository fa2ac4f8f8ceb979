import { expect, test } from 'vitest';
import { ResultFuzzer } from '../../fuzz/malformed-results.ts';

test('damaged results neither throw nor score what they do not say', () => {
  const { files, outcomes, faults } = new ResultFuzzer(20_261_130).run(1500);
  expect(faults).toEqual([]);
  expect(files).toBe(1500);
  // The damage reaches what it should: some are scores still, others are none for many reasons.
  expect(Object.keys(outcomes)).toContain('score');
  expect(Object.keys(outcomes).length).toBeGreaterThan(6);
});
