/**
 * Aborts on SIGINT and SIGTERM, and with `withStdin` when standard input ends: a child whose
 * parent dies, however it dies, then stops too. A second signal ends the process at once.
 */
export function stopSignal({ withStdin }: { withStdin: boolean }): AbortSignal {
  const controller = new AbortController();
  const onSignal = (signal: NodeJS.Signals) => {
    if (controller.signal.aborted) process.exit(signal === 'SIGINT' ? 130 : 143);
    controller.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  if (withStdin) {
    process.stdin.resume();
    process.stdin.on('end', () => controller.abort());
    process.stdin.on('error', () => controller.abort());
    process.stdin.unref?.();
  }
  return controller.signal;
}
