import { workerData } from 'node:worker_threads';
import { ReplayWindow } from '../../src/session/replay-window.ts';

/** Asks the window about every counter in turn and counts in `taken` which ones it was given. */
const { buffer, taken } = workerData as { buffer: SharedArrayBuffer; taken: SharedArrayBuffer };
const window = new ReplayWindow(new Int32Array(buffer), 0);
const counts = new Uint8Array(taken);
for (let counter = 0; counter < counts.length; counter++) {
  if (window.acceptShared(counter, 0)) Atomics.add(counts, counter, 1);
}
