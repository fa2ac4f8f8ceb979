import type { AgentClock } from '../agent/clock.ts';

/** How often files are looked at, ms. */
const INTERVAL = 5000;

/**
 * Looks at files now and again and again until `signal` aborts. `warn` is told once of each fault that `look`
 * throws, until it finds none or another.
 */
export async function followFiles(
  look: () => void,
  warn: (message: string) => void,
  clock: Pick<AgentClock, 'sleep'>,
  signal: AbortSignal,
): Promise<void> {
  let said: string | undefined;
  while (!signal.aborted) {
    try {
      look();
      said = undefined;
    } catch (error) {
      const { message } = error as Error;
      if (message !== said) warn(message);
      said = message;
    }
    await clock.sleep(INTERVAL, signal);
  }
}
