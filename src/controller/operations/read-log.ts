import { toBase64 } from '../../contract/encoding.ts';
import { SIGNATURE_TAGS } from '../../contract/http-signature.ts';
import { accepted, type Checked, rejected } from '../../contract/problems.ts';
import type { Consistency } from '../../contract/record/consistency.ts';
import { parseTilePath } from '../../record/tiles.ts';
import type { Services } from '../services.ts';
import type { Caller } from './caller.ts';
import { enrolledOnly, readersOnly } from './readers.ts';

/** The log's newest checkpoint, a signed note. */
export async function readCheckpoint(services: Services, caller: Caller): Promise<Checked<string>> {
  const allowed = await readersOnly(services, caller);
  if (!allowed.ok) return allowed;
  const { lost, notReady } = services.governor;
  // Another checkpoint was signed for what came after the backup: two of them cannot both be true.
  if (lost.isLost) return rejected('not_ready', { detail: notReady ?? '' });
  return accepted(await services.log.checkpoint());
}

/** The verifier key of the log's checkpoints, as tools are told it. */
export async function readLogKey(services: Services, caller: Caller): Promise<Checked<string>> {
  const allowed = await readersOnly(services, caller);
  return allowed.ok ? accepted(await services.log.verifierKey()) : allowed;
}

/** A tile of the log by its path, such as `tile/0/000`. */
export async function readTile(
  services: Services,
  caller: Caller,
  path: string,
): Promise<Checked<Uint8Array>> {
  return readBytes(services, caller, async () => {
    const tile = parseTilePath(path);
    return tile && services.store.logTile(tile);
  });
}

/** Shows any enrolled node that the log of `size` leaves begins with all of the one of `oldSize`. */
export async function readConsistency(
  services: Services,
  caller: Caller,
  oldSize: number,
  size: number,
): Promise<Checked<Consistency>> {
  const allowed = await enrolledOnly(services, caller, SIGNATURE_TAGS.header);
  if (!allowed.ok) return allowed;
  const { store } = services;
  const last = (await store.logState()).size;
  if (oldSize > size || size > last) {
    const expected = `at most ${last}, and old at most that`;
    return rejected('invalid_field', { field: 'size', expected });
  }
  return accepted({ proof: (await store.consistencyProof(oldSize, size)).map(toBase64) });
}

/** The rows of an epoch's verdicts, one a line. */
export function readVerdictRows(
  services: Services,
  caller: Caller,
  epoch: number,
): Promise<Checked<Uint8Array>> {
  return readBytes(services, caller, () => services.store.verdictRows(epoch));
}

/** The scores that its rows name first, as they were signed, one a line. */
export function readEvidence(
  services: Services,
  caller: Caller,
  epoch: number,
): Promise<Checked<Uint8Array>> {
  return readBytes(services, caller, () => services.store.newEvidence(epoch));
}

async function readBytes(
  services: Services,
  caller: Caller,
  read: () => Promise<Uint8Array | undefined>,
): Promise<Checked<Uint8Array>> {
  const allowed = await readersOnly(services, caller);
  if (!allowed.ok) return allowed;
  const bytes = await read();
  return bytes ? accepted(bytes) : rejected('not_found');
}
