import { expect, test } from 'vitest';
import { gaussianSource } from '../../src/agent/score-source.ts';
import { SimClock } from '../lab/agent-clock.ts';
import { seededRandom } from '../lab/random.ts';

test('the Gaussian source has the mean and deviation it was given, cut to 0..1', async () => {
  const source = gaussianSource(
    { mean: 0.8, deviation: 0.05, samples: 50 },
    new SimClock(),
    seededRandom(1),
  );
  const scores: number[] = [];
  for (let i = 0; i < 4000; i++) scores.push((await source()).score);
  const mean = scores.reduce((a, b) => a + b) / scores.length;
  const variance = scores.reduce((sum, score) => sum + (score - mean) ** 2, 0) / scores.length;
  expect(mean).toBeCloseTo(0.8, 2);
  expect(Math.sqrt(variance)).toBeCloseTo(0.05, 2);
  expect(Math.max(...scores)).toBeLessThanOrEqual(1);
});

test('a ramp moves the mean linearly between its start and its end', async () => {
  const clock = new SimClock();
  const ramp = { to: 0.4, startS: 10, lengthS: 20 };
  const source = gaussianSource({ mean: 0.8, deviation: 0, samples: 50, ramp }, clock, () => 0.5);
  const at = async (seconds: number) => {
    await clock.advance(seconds * 1000);
    return (await source()).score;
  };
  expect(await at(0)).toBeCloseTo(0.8);
  expect(await at(10)).toBeCloseTo(0.8);
  expect(await at(10)).toBeCloseTo(0.6);
  expect(await at(10)).toBeCloseTo(0.4);
  expect(await at(100)).toBeCloseTo(0.4);
});
