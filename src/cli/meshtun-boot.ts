import { defaultTransport } from '../crypto/transport-select.ts';
import { defaultWorkerPairs } from '../tunnel/linux/worker-pairs.ts';
import { startAhead } from '../tunnel/linux/worker-threads.ts';
import type { DaemonArguments } from './meshtun-arguments.ts';
import type { Log } from './meshtun-log.ts';

/**
 * Has the data threads boot while this one loads the daemon and makes the interface. The kernel is
 * compiled first, as long as this thread is the only one.
 */
export function bootDataThreads({ workerPairs, tunDescriptor }: DaemonArguments, log: Log): void {
  defaultTransport((message) => log.error(message));
  // A device that was given has one queue.
  startAhead(tunDescriptor === undefined ? (workerPairs ?? defaultWorkerPairs()) : 1);
}
