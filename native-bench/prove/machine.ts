import { availableParallelism, loadavg, release } from 'node:os';

/** What a figure was taken on, and how busy that was: others work on the machine as well. */
export interface Machine {
  readonly cpus: number;
  readonly kernel: string;
  readonly node: string;
  /** Processes that wanted to run, averaged over a minute: before and after. */
  readonly load: readonly [number, number];
}

/** Called at the start; what it returns is called at the end. */
export function observeMachine(): () => Machine {
  const before = loadavg()[0]!;
  return () => ({
    cpus: availableParallelism(),
    kernel: release(),
    node: process.version,
    load: [Number(before.toFixed(1)), Number(loadavg()[0]!.toFixed(1))],
  });
}
