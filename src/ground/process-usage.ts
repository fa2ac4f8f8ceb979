import { readdirSync } from 'node:fs';

/** What this process uses. */
export interface ProcessUsage {
  /** Unix time, s. */
  readonly startedAt: number;
  /** User and system, all threads, s. */
  readonly cpuS: number;
  readonly residentBytes: number;
  /** Undefined where the system does not tell. */
  readonly openDescriptors: number | undefined;
}

export function processUsage(): ProcessUsage {
  const { user, system } = process.cpuUsage();
  return {
    startedAt: performance.timeOrigin / 1000,
    cpuS: (user + system) / 1e6,
    residentBytes: process.memoryUsage.rss(),
    openDescriptors: openDescriptors(),
  };
}

function openDescriptors(): number | undefined {
  try {
    return readdirSync('/proc/self/fd').length - 1; // without the one that reads this
  } catch {
    return undefined; // no /proc
  }
}
