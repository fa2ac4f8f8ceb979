import { expect, test } from 'vitest';
import { matchesNames } from '../../src/contract/admin.ts';

test.each([
  ['web-*', 'web-1', true],
  ['web-*', 'web-', true],
  ['web-*', 'a-web-1', false],
  ['*-gpu', 'node-7-gpu', true],
  ['a*b*c', 'axxbyyc', true],
  ['a*b*c', 'acb', false],
  ['ab*ba', 'aba', false],
  ['*', 'anything', true],
  ['web', 'web', true],
  ['web', 'web-1', false],
  [`${'*a'.repeat(31)}b`, 'a'.repeat(63), false],
])('names %s and the name %s: %s', (names, name, expected) => {
  expect(matchesNames(names, name)).toBe(expected);
});
