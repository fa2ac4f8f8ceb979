import { availableParallelism, getPriority, loadavg, release, setPriority } from 'node:os';

/** What a figure was taken on, and how busy that was: others work on the machine as well. */
export interface Machine {
  readonly cpus: number;
  readonly kernel: string;
  readonly node: string;
  /** Scheduling priority of the mesh and of what measures it; below 0 is before others. */
  readonly nice: number;
  /** Processes that wanted to run, averaged over a minute: before and after. */
  readonly load: readonly [number, number];
}

const NICE = -19;

/**
 * Called at the start; what it returns is called at the end. Asks for priority over what else runs
 * on the machine, for this process and all that it starts: without it, delays of others' making are
 * measured where several work on few processors.
 */
export function observeMachine(): () => Machine {
  const before = loadavg()[0]!;
  try {
    setPriority(NICE);
  } catch {
    // not root: `nice` says what was had
  }
  return () => ({
    cpus: availableParallelism(),
    kernel: release(),
    node: process.version,
    nice: getPriority(),
    load: [Number(before.toFixed(1)), Number(loadavg()[0]!.toFixed(1))],
  });
}
