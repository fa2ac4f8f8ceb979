import { readFileSync } from 'node:fs';

/** What this process may do, proc_pid_limits(5). */
const LIMITS = '/proc/self/limits';

/**
 * Most descriptors that this process may have open at once: the soft limit RLIMIT_NOFILE, which Node raises
 * to the hard one when it starts. Infinity where there is none, or where the system does not say.
 */
export function openFilesLimit(path = LIMITS): number {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return Number.POSITIVE_INFINITY;
  }
  const soft = /^Max open files +(\d+|unlimited) /m.exec(text)?.[1];
  return soft === undefined || soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
}
