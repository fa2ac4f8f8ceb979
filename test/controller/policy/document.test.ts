import { describe, expect, test } from 'vitest';
import { documentOf } from '../../../src/controller/policy/write-document.ts';
import { PLAIN_RULE } from '../../../src/controller/policy.ts';
import { readPolicy } from '../../../src/controller/policy-file.ts';
import { completeSettings } from '../../../src/controller/settings.ts';
import { SettingsError } from '../../../src/controller/settings-error.ts';

const complete = (document: unknown) => completeSettings(readPolicy(document)).policy;
const suite = (fields: object) => ({ version: 2, suites: [{ suite: 'alignment', ...fields }] });

test('the plain rule is one line', () => {
  const policy = complete(suite({ threshold: 0.7, max_age_s: 120 }));
  expect(policy.suites).toEqual([PLAIN_RULE]);
});

test('keys are sealed for all members at once, unless a document says null', () => {
  const { pairwiseUpTo } = completeSettings(readPolicy({ ...suite({}), pairwise_up_to: null }));
  expect(pairwiseUpTo).toBeNull();
  expect(completeSettings(readPolicy(suite({}))).pairwiseUpTo).toBe(256);
});

test('what a document says is what is in force', () => {
  const policy = complete({
    version: 2,
    suites: [
      { suite: 'alignment', score: 'mean', cut: { cusum: { h: 0.15 } }, back: 3, readmit: 0.75 },
      { suite: 'health', threshold: 0.5, cut: { of: 3, failed: 2 }, when_stale: 'hold' },
    ],
    groups: [
      { name: 'gpu', nodes: ['g1'], suites: [{ suite: 'vision', cut: { confidence: 0.95 } }] },
    ],
    exempt: ['gateway'],
    brake: { max_cut: 0.1 },
  });
  expect(policy).toMatchObject({
    suites: [
      { threshold: 0.7, score: 'mean', cut: { kind: 'cusum', ref: 0.7, h: 0.15 }, back: 3 },
      {
        threshold: 0.5,
        readmit: 0.5,
        cut: { kind: 'k_of_n', of: 3, failed: 2 },
        whenStale: 'hold',
      },
    ],
    groups: [{ name: 'gpu', suites: [{ cut: { kind: 'confidence', level: 0.95 } }] }],
    exempt: ['gateway'],
    brake: { maxCut: 0.1, freezeAbove: 0.3, freezeEpochs: 3, minMembers: 0 },
  });
});

test('the brake is off only where that is said, and in files of version 1', () => {
  expect(complete(suite({})).brake).toMatchObject({ maxCut: 0.2 });
  expect(complete({ ...suite({}), brake: null }).brake).toBeNull();
  expect(complete({ threshold: 0.8 }).brake).toBeNull();
});

describe('a document that cannot be is refused, and the field is named', () => {
  test.each([
    ['version', { version: 3 }],
    ['"treshold"', { version: 2, treshold: 0.8 }],
    ['suites[0]."treshold"', suite({ treshold: 0.8 })],
    ['suites[0].threshold', suite({ threshold: 7 })],
    ['suites[0].threshold', suite({ threshold: '0.7' })],
    ['suites', { version: 2, suites: [] }],
    ['suites[1].suite', { version: 2, suites: [{ suite: 'a' }, { suite: 'a' }] }],
    ['suites[0].cut.failed', suite({ cut: { of: 2, failed: 3 } })],
    ['suites[0].cut.failed', suite({ cut: { of: 2, failed: 0 } })],
    ['suites[0].cut.failed', suite({ cut: { of: 2 } })],
    ['suites[0].cut.of', suite({ cut: { of: 17, failed: 2 } })],
    ['suites[0].cut', suite({ cut: 2 })],
    ['suites[0].cut', suite({ cut: {} })],
    ['suites[0].cut', suite({ cut: { confidence: 0.9, cusum: { h: 1 } } })],
    ['suites[0].cut.cusum.h', suite({ cut: { cusum: { h: 0 } } })],
    ['suites[0].cut.confidence', suite({ cut: { confidence: 95 } })],
    ['suites[0].readmit', suite({ threshold: 0.8, readmit: 0.7 })],
    ['suites[0].back', suite({ back: 0 })],
    ['suites[0].report_interval_s', suite({ max_age_s: 60, report_interval_s: 90 })],
    ['suites[0].when_stale', suite({ when_stale: 'keep' })],
    ['brake.max_cut', { version: 2, brake: { max_cut: 0 } }],
    ['brake.freeze_above', { version: 2, brake: { freeze_above: 1.5 } }],
    ['brake.freeze_epochs', { version: 2, brake: { freeze_epochs: -1 } }],
    ['groups[0].nodes', { version: 2, groups: [group('a', [])] }],
    ['groups[1].name', { version: 2, groups: [group('a', ['x']), group('a', ['y'])] }],
    ['groups[1].nodes[0]', { version: 2, groups: [group('a', ['x']), group('b', ['x'])] }],
    ['groups[0].suites', { version: 2, groups: [{ ...group('a', ['x']), suites: [] }] }],
    ['exempt[0]', { version: 2, exempt: ['x'], groups: [group('a', ['x'])] }],
    ['exempt[0]', { version: 2, exempt: ['Not an id'] }],
    ['evaluators', suite({ signers: 'evaluators' })],
    ['policy', [1]],
  ])('%s', (field, document) => {
    expect(() => complete(document)).toThrow(SettingsError);
    expect(() => complete(document)).toThrow(expect.objectContaining({ field }));
  });
});

function group(name: string, nodes: string[]) {
  return { name, nodes, suites: [{ suite: 's' }] };
}

test('a policy written as a document is the same policy when it is read', () => {
  const given = {
    version: 2,
    suites: [
      { suite: 'a', score: 'mean', cut: { cusum: { h: 0.15 } }, back: 3, readmit: 0.75 },
      { suite: 'b', threshold: 0.5, cut: { of: 3, failed: 2 }, when_stale: 'hold' },
      { suite: 'c', cut: { confidence: 0.95 }, min_samples: 50, max_age_s: 7200 },
    ],
    groups: [{ name: 'gpu', nodes: ['g1'], suites: [{ suite: 'vision' }] }],
    exempt: ['gateway'],
    brake: { max_cut: 0.1 },
  };
  for (const document of [given, { ...given, brake: null }, suite({}), { threshold: 0.8 }]) {
    const policy = complete(document);
    expect(complete(JSON.parse(JSON.stringify(documentOf(policy))))).toEqual(policy);
  }
});
