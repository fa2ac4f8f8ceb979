import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import type { WorkerSetup } from './messages.ts';

/** In a worker: waits until control says what to work with. No event loop turns until then. */
export function receiveSetup(): WorkerSetup {
  Atomics.wait(new Int32Array(workerData as SharedArrayBuffer), 0, 0);
  return receiveMessageOnPort(parentPort!)!.message as WorkerSetup;
}
