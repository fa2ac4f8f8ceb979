import { availableParallelism } from 'node:os';
import { MAX_LANES } from '../../session/limits.ts';

/** Half of the processors, for each pair keeps two busy; from 1 to 4. */
export function defaultWorkerPairs(): number {
  return Math.max(1, Math.min(4, Math.floor(availableParallelism() / 2)));
}

/** Whether a tunnel can have so many pairs of workers. */
export function isWorkerPairs(count: number): boolean {
  return Number.isInteger(count) && count >= 1 && count <= MAX_LANES;
}
