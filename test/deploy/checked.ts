import { spawnSync } from 'node:child_process';

export interface Checked {
  readonly code: number | null;
  /** Standard output and error. */
  readonly output: string;
}

/** What a checker says, and its exit code: a fault that it finds is a result, not an error. */
export function checked([program, ...args]: readonly [string, ...string[]]): Checked {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (error) throw error;
  return { code: status, output: `${stdout}${stderr}` };
}
