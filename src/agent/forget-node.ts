import { readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { lockDirectory } from '../ground/lock.ts';

/** What a node leaves in its state directory; the enrolment goes last, so that this can be repeated. */
const MEMORY = [
  'mark.json',
  'pins.json',
  'handshakes.json',
  'endpoint.json',
  'header.json',
  'log.json',
  'witness.key', // before what it has signed
  'cosigned.json',
  'emitter.json',
  'controller.json',
  'status.json',
  'runs',
  'wireguard.key',
  'signing.key',
  'sealing.key',
  'enrolment.json',
] as const;

/**
 * Deletes keys and memory of a node that does not run any more, and the directory if nothing else is
 * in it: evidence against a controller (`split-views.json`, `forked-logs.json`) stays. Waits for a node
 * that is ending; throws a `LockedError` if it does not within `waitMs`.
 */
export function forgetNode(state: string, waitMs: number): void {
  const lock = lockDirectory(state, { program: 'meshnet leave', waitMs });
  try {
    for (const name of MEMORY) {
      for (const one of [name, `${name}.new`]) // of a write that was cut off
        rmSync(join(state, one), { recursive: true, force: true });
    }
  } finally {
    lock.release();
  }
  for (const name of ['lock', 'lock.holder', 'node.sock'])
    rmSync(join(state, name), { force: true });
  if (readdirSync(state).length === 0) rmdirSync(state);
}
