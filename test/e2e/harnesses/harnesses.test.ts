import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { scoreSources } from '../../../src/cli/score-sources.ts';
import { requires } from '../../lab/requirements.ts';
import { NodeRig } from '../node-rig.ts';
import { garak, inspect, lmEval, type Program, prometheus, promptfoo } from './programs.ts';

let rig: NodeRig;
beforeEach(async () => {
  rig = await NodeRig.open({ epochS: 1.5, freshnessS: 600 });
});
afterEach(() => rig.close());

const soon = { timeout: 20_000, interval: 50 };
/** Whole programs are started, two times each: half a minute on a machine that does nothing else. */
const PATIENCE = 300_000;
/** `failed`: exit status of a run in which tasks failed. */
const PROGRAMS: [string, (folder: string) => Program | Promise<Program>, { failed: number }][] = [
  ['promptfoo', promptfoo, { failed: 100 }],
  ['inspect', inspect, { failed: 0 }],
  ['lm-eval', lmEval, { failed: 0 }],
  ['garak', garak, { failed: 0 }],
  ['prometheus', prometheus, { failed: 0 }],
];

for (const [name, make, { failed }] of PROGRAMS) {
  requires(name)(`${name}, really run`, () => {
    test('admits a node by its results and cuts it by them', { timeout: PATIENCE }, async () => {
      const folder = join(rig.directory.path, 'harness');
      mkdirSync(folder);
      const program = await make(folder);
      try {
        expect(await program.measure(1)).toBe(0);
        const sources = scoreSources(
          {
            suite: 'alignment',
            state: rig.directory.path,
            scoreFrom: [program.origin],
            emit: ['0.2'],
            minDone: 0.9,
            scoreDeviation: 0,
          },
          () => {},
          () => {},
        );
        const a = await rig.node('a', () => 0, { sources });
        const state = () => a.node.status().state;
        await expect.poll(state, soon).toBe('member');
        expect(a.node.status().scores).toMatchObject([{ score: 1, failure: null }]);
        expect(await program.measure(0.2)).toBe(failed);
        await expect.poll(state, soon).toBe('denied');
        expect(a.node.status()).toMatchObject({
          reason: 'score_below_threshold',
          scores: [{ score: 0.2 }],
        });
      } finally {
        await program.close();
      }
    });
  });
}
