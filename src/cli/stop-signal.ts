import { constants } from 'node:os';
import { end } from './standard-output.ts';

/** npm hands on a Ctrl-C that the terminal has sent to everybody already: the same one twice. */
const SAME_SIGNAL_MS = 1000;

/**
 * Aborts on SIGINT, SIGTERM and SIGHUP, and with `withStdin` when standard input ends: a child whose
 * parent dies, however it dies, then stops too. A second signal ends the process at once.
 *
 * Output that nobody reads any more (EPIPE) ends a program that is there to be watched
 * (`withStdout`); any other goes on without it.
 */
export function stopSignal({
  withStdin,
  withStdout,
}: {
  withStdin: boolean;
  withStdout: boolean;
}): AbortSignal {
  const controller = new AbortController();
  let firstAt = 0;
  const onSignal = (signal: NodeJS.Signals) => {
    const now = performance.now();
    if (!controller.signal.aborted) {
      firstAt = now;
      controller.abort();
    } else if (now - firstAt > SAME_SIGNAL_MS) {
      void end(128 + constants.signals[signal]);
    }
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  process.on('SIGHUP', isHangupIgnored() ? () => {} : onSignal);
  process.stdout.on('error', () => {
    if (withStdout) controller.abort();
  });
  if (withStdin) {
    process.stdin.resume();
    process.stdin.on('end', () => controller.abort());
    process.stdin.on('error', () => controller.abort());
    process.stdin.unref?.();
  }
  return controller.signal;
}

/**
 * Whether whoever started this program wants it to survive the end of its terminal (nohup). Node resets
 * signals that it finds ignored at its start, so the launcher looks and tells.
 */
export function isHangupIgnored(): boolean {
  return process.env.MESH_NOHUP === '1';
}
