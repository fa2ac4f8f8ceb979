import { afterAll, afterEach, beforeAll, beforeEach, describe, test } from 'vitest';
import { requires } from '../lab/requirements.ts';
import { useLab } from '../lab/use-lab.ts';
import { Machines, pagesPlan } from './machines.ts';
import { NEWCOMER_PAGES } from './newcomer.ts';
import { blocksOf, isCommand, pages } from './pages.ts';

requires(
  'linux',
  'root',
  'tun',
  'netns',
  'wg',
  'wireguard-go',
  'curl',
)('every command of', () => {
  let machines: Machines;
  const lab = useLab();

  beforeAll(() => {
    machines = new Machines(lab, pagesPlan());
  });
  afterAll(() => machines.close());

  for (const page of pages()) {
    if (NEWCOMER_PAGES.includes(page)) continue; // newcomer.long.test.ts
    const blocks = blocksOf(page).filter(
      (block) => isCommand(block) && !block.words.has('not-run'),
    );
    if (blocks.length === 0) continue;
    describe(page, () => {
      afterEach(() => machines.stop());

      beforeEach(() => machines.furnish());

      test('works, one after the other', async () => {
        for (const block of blocks) {
          await machines.run(block).catch((error: Error) => {
            throw new Error(`${block.place}: ${error.message}`);
          });
        }
      });
    });
  }
});
