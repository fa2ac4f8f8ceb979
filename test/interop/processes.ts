import { readFileSync } from 'node:fs';
import { cpuTime, openDescriptors, residentMemory } from '../lab/process-usage.ts';
import type { End } from './pair.ts';

export interface ProcessUse {
  /** Seconds of CPU since its start, all threads. */
  readonly cpu: number;
  /** MB */
  readonly rss: number;
  readonly descriptors: number;
  readonly threads: number;
}

/** What the daemon of an end uses. */
export function useOf(end: End): ProcessUse {
  const pid = end.daemon?.pid;
  if (pid === undefined) throw new Error('no daemon');
  const { user, system } = cpuTime(pid);
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return {
    cpu: user + system,
    rss: residentMemory(pid).now,
    descriptors: openDescriptors(pid),
    threads: Number(/Threads:\s+(\d+)/.exec(status)?.[1]),
  };
}
