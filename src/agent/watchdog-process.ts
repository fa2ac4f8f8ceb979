import { createInterface } from 'node:readline';
import { bootNow } from '../ground/clock.ts';
import { uapiSet } from '../tunnel/uapi/client.ts';

/**
 * The other half of `Watchdog`: reads leases (boot clock, seconds, one per line) and empties the
 * device at its socket when they end, in whatever way.
 */

const CHECK_MS = 100;
const RETRY_MS = 100;
/** A device that has not answered for this long (ms) will not. */
const GIVE_UP_MS = 60_000;

const socket = process.argv[2]!;
let until = Number.POSITIVE_INFINITY;
let released = false;
let emptied = false;

async function empty(): Promise<void> {
  const startedAt = performance.now();
  for (;;) {
    try {
      await uapiSet(socket, { replacePeers: true });
      emptied = true;
      return;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' || code === 'ECONNREFUSED') return; // the device went with its process
      if (performance.now() - startedAt > GIVE_UP_MS) return;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

const input = createInterface({ input: process.stdin });
input.on('line', (line) => {
  if (line === 'released') {
    released = true;
    return;
  }
  const next = Number(line);
  if (!Number.isFinite(next)) return;
  until = next;
  emptied = false;
});
input.on('close', () => {
  if (released) process.exit(0);
  void empty().then(() => process.exit(0));
});
// A lease that has run out: the agent may be stopped rather than dead.
setInterval(() => {
  if (!emptied && bootNow() >= until) void empty();
}, CHECK_MS);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => void empty().then(() => process.exit(0)));
}
