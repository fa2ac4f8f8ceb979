import type { Output } from './output.ts';

/** How long (ms) the last lines may wait for a reader at the end. */
const LAST_LINES = 500;

/**
 * Ends this process with `code`, whether or not anybody reads its output. Node waits for the threads
 * of its pool at the end; where one is held by a write to a disk that hangs, the process ends by
 * SIGKILL instead of never.
 */
export async function endProcess(code: number, outputs: readonly Output[]): Promise<never> {
  await Promise.all(outputs.map((output) => output.flush(LAST_LINES)));
  const ended = await Promise.all(outputs.map((output) => output.end(LAST_LINES)));
  if (ended.every((hasEnded) => hasEnded)) process.exit(code);
  process.emit('exit', code); // what has to be given back is given back here, too
  process.kill(process.pid, 'SIGKILL');
  return new Promise(() => {});
}
