/** npm hands on a Ctrl-C that the terminal has sent to everybody already: the same one twice. */
const SAME_SIGNAL_MS = 1000;

/**
 * Aborts on SIGINT and SIGTERM, and with `withStdin` when standard input ends: a child whose
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
      process.exit(signal === 'SIGINT' ? 130 : 143);
    }
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
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
