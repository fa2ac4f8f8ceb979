import { parentPort, workerData } from 'node:worker_threads';
import { POLLIN } from './constants.ts';
import { ERRNO, SystemCallError } from './errno.ts';
import {
  MAX_WATCHED,
  POLLFD_LENGTH,
  SLOT_STATE,
  type WatchReport,
  type WatchSetup,
  WORD,
} from './readable-slots.ts';
import { NativeBuffer, syscalls } from './syscalls.ts';

/**
 * The thread behind `watchReadable`: waits in poll for all descriptors that are armed, says which are
 * ready, and leaves those alone until they are armed again.
 */

const NO_DESCRIPTOR = -1;

const { shared, wakeFd } = workerData as WatchSetup;
const words = new Int32Array(shared);
const calls = syscalls();
const entries = new NativeBuffer((MAX_WATCHED + 1) * POLLFD_LENGTH);
const entriesAt = entries.at(0);
const wakeValue = new NativeBuffer(8).at(0);

function setEntry(index: number, fd: number): void {
  entries.view.setInt32(index * POLLFD_LENGTH, fd, true);
  entries.view.setInt16(index * POLLFD_LENGTH + 4, POLLIN, true);
}

const isReady = (index: number): boolean =>
  entries.view.getInt16(index * POLLFD_LENGTH + 6, true) !== 0;

const report = (what: WatchReport): void => parentPort!.postMessage(what);

setEntry(0, wakeFd);
report({ released: [] }); // main waits for a first word
while (Atomics.load(words, WORD.stop) === 0) {
  const used = Atomics.load(words, WORD.used);
  const released: number[] = [];
  for (let slot = 0; slot < used; slot++) {
    const state = Atomics.load(words, WORD.states + slot);
    setEntry(slot + 1, state === SLOT_STATE.armed ? words[WORD.fds + slot]! : NO_DESCRIPTOR);
    if (state !== SLOT_STATE.releasing) continue;
    Atomics.store(words, WORD.states + slot, SLOT_STATE.free);
    released.push(slot);
  }
  if (released.length > 0) report({ released });
  const result = calls.poll(entriesAt, BigInt(used + 1), -1);
  if (result === -ERRNO.EINTR) continue;
  if (result < 0) throw new SystemCallError('poll', -result);
  if (isReady(0)) calls.eventfdRead(wakeFd, wakeValue);
  const ready: number[] = [];
  for (let slot = 0; slot < used; slot++) {
    if (!isReady(slot + 1)) continue;
    const { armed, fired } = SLOT_STATE;
    if (Atomics.compareExchange(words, WORD.states + slot, armed, fired) === armed) {
      ready.push(slot);
    }
  }
  if (ready.length > 0) report({ ready });
}
