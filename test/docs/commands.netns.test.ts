import { afterAll, afterEach, beforeAll, beforeEach, describe, test } from 'vitest';
import { requires } from '../lab/requirements.ts';
import { useLab } from '../lab/use-lab.ts';
import { Machines } from './machines.ts';
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
    machines = new Machines(lab);
  });
  afterAll(() => machines.close());

  for (const page of pages()) {
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
