import { type SpawnSyncOptions, spawnSync } from 'node:child_process';

export interface Checked {
  readonly code: number | null;
  /** Standard output and error. */
  readonly output: string;
}

/** What a checker says, and its exit code: a fault that it finds is a result, not an error. */
export function checked(
  [program, ...args]: readonly [string, ...string[]],
  options: Pick<SpawnSyncOptions, 'cwd' | 'env' | 'input'> = {},
): Checked {
  const env = { ...process.env, ...options.env };
  const all = { ...options, env, encoding: 'utf8', maxBuffer: 64 << 20 } as const;
  const { status, stdout, stderr, error } = spawnSync(program, args, all);
  if (error) throw error;
  return { code: status, output: `${stdout}${stderr}` };
}
