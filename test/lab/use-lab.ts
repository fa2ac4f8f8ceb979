import { afterAll, beforeAll } from 'vitest';
import { Lab } from './netns.ts';

/**
 * A lab for one test file: cleaned up after its last test, which fails if anything that the lab
 * did not make itself is still there. `prepare` runs before the first test.
 */
export function useLab(prepare?: (lab: Lab) => void | Promise<void>): Lab {
  const lab = new Lab();
  beforeAll(async () => {
    await prepare?.(lab);
  });
  afterAll(async () => {
    const leaks = await lab.close();
    if (leaks.length > 0) throw new Error(`left behind:\n${leaks.join('\n')}`);
  });
  return lab;
}
