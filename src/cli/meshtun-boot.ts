import { firstChoice, isKernel } from '../crypto/transport-choice.ts';
import { compileKernel } from '../crypto/wasm/loader.ts';
import { defaultWorkerPairs } from '../tunnel/linux/worker-pairs.ts';
import { startAhead } from '../tunnel/linux/worker-threads.ts';
import type { DaemonArguments } from './meshtun-arguments.ts';

/**
 * Has the data threads boot while this one loads the rest and makes the interface. The kernel is
 * compiled first, as long as this thread is the only one; what is wrong with it, if anything, shows
 * when the transport is chosen.
 */
export function bootDataThreads({ workerPairs, tunDescriptor }: DaemonArguments): void {
  const choice = firstChoice({});
  try {
    if (isKernel(choice)) compileKernel(choice);
  } catch {} // it is tried again, and passed over with a reason
  // A device that was given has one queue.
  startAhead(tunDescriptor === undefined ? (workerPairs ?? defaultWorkerPairs()) : 1);
}
