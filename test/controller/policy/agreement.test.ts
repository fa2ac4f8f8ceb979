import { expect, test } from 'vitest';
import { agreementOf } from '../../../src/controller/policy/agreement.ts';
import { policyFrom } from './support/judged-mesh.ts';

const NOW = 1_700_000_000_000;
const POLICY = policyFrom({ suites: [{ suite: 'alignment', signers: 'evaluators' }] });

function word(signer: string, score: number, ageS = 10) {
  const at = NOW - ageS * 1000;
  return { suite: 'alignment', signer, score, samples: 50, observedAt: at, receivedAt: at };
}

test('a judge that is milder than the others is seen, one that is silent too', () => {
  const scores = new Map(
    [0.6, 0.7, 0.8].map((score, i) => [
      `n${i}`,
      [word('e1', score), word('e2', score + 0.02), word('mild', score + 0.2)],
    ]),
  );
  const [e1, e2, mild, silent] = agreementOf(POLICY, scores, ['e1', 'e2', 'mild', 'silent'], NOW);
  expect(e1!.bias).toBeCloseTo(-0.02, 12);
  expect(e1!.distance).toBeCloseTo(0.02, 12);
  expect(e2!.bias).toBeCloseTo(0, 12);
  expect(mild).toMatchObject({ evaluator: 'mild', compared: 3, lastS: 10 });
  expect(mild!.bias).toBeCloseTo(0.18, 12);
  expect(silent).toEqual({
    evaluator: 'silent',
    compared: 0,
    bias: null,
    distance: null,
    lastS: null,
  });
});

test('old words, and nodes that only one has judged, are compared with nothing', () => {
  const scores = new Map([
    ['n0', [word('e1', 0.9, 500), word('e2', 0.2)]],
    ['n1', [word('e1', 0.9)]],
  ]);
  const [e1, e2] = agreementOf(POLICY, scores, ['e1', 'e2'], NOW);
  expect(e1).toMatchObject({ compared: 0, bias: null, lastS: 10 });
  expect(e2).toMatchObject({ compared: 0, bias: null });
});
