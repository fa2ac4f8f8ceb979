import { readdirSync, readFileSync } from 'node:fs';
import type { End } from './pair.ts';

/** USER_HZ, the unit of times in /proc/PID/stat: 100 on every Linux there is. */
const TICKS_PER_SECOND = 100;

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
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // Behind the name, which may hold anything: state is field 3, utime 14, stime 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return {
    cpu: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
    rss: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    threads: Number(/Threads:\s+(\d+)/.exec(status)?.[1]),
  };
}
