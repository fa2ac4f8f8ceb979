import { toBase64 } from '../../contract/encoding.ts';
import { SIGNATURE_TAGS } from '../../contract/http-signature.ts';
import { accepted, type Checked, rejected } from '../../contract/problems.ts';
import type { Consistency } from '../../contract/record/consistency.ts';
import { parseEvidence } from '../../contract/record/evidence.ts';
import { decodeLines, encodeBundle, withheldBut } from '../../contract/record/verdict-row.ts';
import { parseTilePath } from '../../record/tiles.ts';
import type { Services } from '../services.ts';
import type { Caller } from './caller.ts';
import { enrolledOnly, readerOf, readersOnly } from './readers.ts';

/** The log's newest checkpoint, a signed note. */
export async function readCheckpoint(services: Services, caller: Caller): Promise<Checked<string>> {
  const allowed = await logReadersOnly(services, caller);
  if (!allowed.ok) return allowed;
  const { lost, notReady } = services.governor;
  // Another checkpoint was signed for what came after the backup: two of them cannot both be true.
  if (lost.isLost) return rejected('not_ready', { detail: notReady ?? '' });
  return accepted(await services.log.checkpoint());
}

/** The verifier key of the log's checkpoints, as tools are told it. */
export async function readLogKey(services: Services, caller: Caller): Promise<Checked<string>> {
  const allowed = await logReadersOnly(services, caller);
  return allowed.ok ? accepted(await services.log.verifierKey()) : allowed;
}

/** A tile of the log by its path, such as `tile/0/000`. */
export async function readTile(
  services: Services,
  caller: Caller,
  path: string,
): Promise<Checked<Uint8Array>> {
  const allowed = await logReadersOnly(services, caller);
  if (!allowed.ok) return allowed;
  const tile = parseTilePath(path);
  return found(tile && (await services.store.logTile(tile)));
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

/** The rows of an epoch's verdicts, one a line; where each may read its own, hashes of the others. */
export async function readVerdictRows(
  services: Services,
  caller: Caller,
  epoch: number,
): Promise<Checked<Uint8Array>> {
  const shown = await shownTo(services, caller);
  if (!shown.ok) return shown;
  const rows = await services.store.verdictRows(epoch);
  if (rows === undefined || shown.value === 'all') return found(rows);
  return accepted(withheldBut(services.crypto, rows, shown.value.node));
}

/** The scores that its rows name first, as they were signed, one a line; or those of the reader's own. */
export async function readEvidence(
  services: Services,
  caller: Caller,
  epoch: number,
): Promise<Checked<Uint8Array>> {
  const shown = await shownTo(services, caller);
  if (!shown.ok) return shown;
  const lines = await services.store.newEvidence(epoch);
  if (lines === undefined || shown.value === 'all') return found(lines);
  const { node } = shown.value;
  const isOwn = (line: Uint8Array): boolean =>
    parseEvidence(services.crypto, line)?.read.document.node_id === node;
  return accepted(encodeBundle((decodeLines(lines) ?? []).filter(isOwn)));
}

async function logReadersOnly(services: Services, caller: Caller): Promise<Checked<unknown>> {
  const isOpen = services.settings.recordReaders.log === 'everybody';
  return isOpen ? accepted(null) : readersOnly(services, caller);
}

/** Whose rows and scores may be read: all, or those of one node; undefined: of none. */
async function shownTo(
  services: Services,
  caller: Caller,
): Promise<Checked<'all' | { readonly node: string | undefined }>> {
  const { verdicts } = services.settings.recordReaders;
  if (verdicts === 'everybody') return accepted('all');
  const reader = await readerOf(services, caller);
  if (!reader.ok) return reader;
  const isAll = verdicts === 'members' || caller.kind === 'admin';
  return accepted(isAll ? 'all' : { node: reader.value?.nodeId });
}

function found(bytes: Uint8Array | undefined): Checked<Uint8Array> {
  return bytes ? accepted(bytes) : rejected('not_found');
}
