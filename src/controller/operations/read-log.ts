import { parseJson, toBase64 } from '../../contract/encoding.ts';
import type { Envelope } from '../../contract/envelope.ts';
import { SIGNATURE_TAGS } from '../../contract/http-signature.ts';
import { accepted, type Checked, rejected } from '../../contract/problems.ts';
import type { Consistency } from '../../contract/record/consistency.ts';
import { parseEvidence } from '../../contract/record/evidence.ts';
import { parseLeaf } from '../../contract/record/leaf.ts';
import { included, type ProofDocument, verdictProof } from '../../contract/record/proof.ts';
import {
  decodeLines,
  encodeBundle,
  parseVerdictRow,
  withheldBut,
} from '../../contract/record/verdict-row.ts';
import { parseTilePath } from '../../record/tiles.ts';
import type { Services } from '../services.ts';
import type { PlacedLeaf } from '../store/log-store.ts';
import type { Caller, Signer } from './caller.ts';
import { enrolledOnly, readerOf, readersOnly } from './readers.ts';
import { signerOf } from './signer.ts';

/** The log's newest checkpoint, a signed note. */
export async function readCheckpoint(services: Services, caller: Caller): Promise<Checked<string>> {
  const allowed = await logReadersOnly(services, caller);
  return allowed.ok ? newestCheckpoint(services) : allowed;
}

/**
 * The same, for who may read it anyhow. None while the state ends before what was signed: another
 * checkpoint was signed for what came after the backup, and two of them cannot both be true.
 */
export async function newestCheckpoint({
  governor,
  log,
}: Pick<Services, 'governor' | 'log'>): Promise<Checked<string>> {
  const { lost, notReady } = governor;
  if (lost.isLost) return rejected('not_ready', { detail: notReady ?? '' });
  return accepted(await log.checkpoint());
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
  const allowed = await consistencyReadersOnly(services, caller);
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
  const shown = await verdictsShownTo(services, caller);
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
  const shown = await verdictsShownTo(services, caller);
  if (!shown.ok) return shown;
  const lines = await services.store.newEvidence(epoch);
  if (lines === undefined || shown.value === 'all') return found(lines);
  const { node } = shown.value;
  const isOwn = (line: Uint8Array): boolean =>
    parseEvidence(services.crypto, line)?.read.document.node_id === node;
  return accepted(encodeBundle((decodeLines(lines) ?? []).filter(isOwn)));
}

/**
 * What shows the asker's own verdict in an epoch to anybody: also to a node that is denied, which may read
 * nothing else of the log, and learns of no other node by it.
 */
export async function readOwnProof(
  services: Services,
  caller: Caller,
  epoch: number,
): Promise<Checked<ProofDocument>> {
  const signer = ownProofAsker(services, caller);
  if (!signer.ok) return signer;
  const { crypto, store } = services;
  const checkpoint = await newestCheckpoint(services);
  if (!checkpoint.ok) return checkpoint;
  const { nodeId, signing } = signer.value.node;
  const rows = await store.verdictRows(epoch);
  const behind = await store.leavesBehind(nodeId, epoch);
  const lines = rows && decodeLines(rows);
  const place = lines?.findIndex((line) => parseVerdictRow(line)?.node === nodeId) ?? -1;
  if (lines === undefined || behind === undefined || place < 0) return rejected('not_found');
  const { size } = await store.logState();
  const leaf = async ({ index, content }: PlacedLeaf) =>
    included(index, content, await store.inclusionProof(index, size));
  const enrolled = parseLeaf(behind.enrolment.content);
  const isOwn = enrolled?.event === 'enrolled' && enrolled.keys.signing === toBase64(signing);
  if (!isOwn) return rejected('not_found'); // of another node, which had its name before
  const evidence = await store.evidenceNamedBy(lines[place]!);
  return accepted(
    verdictProof(crypto, lines, place, {
      controllerKey: crypto.ed25519Public(services.signingSeed),
      checkpoint: checkpoint.value,
      epoch: await leaf(behind.epoch),
      policy: await leaf(behind.policy),
      enrolment: await leaf(behind.enrolment),
      evidence: evidence.map((line) => parseJson(line) as Envelope),
    }),
  );
}

async function logReadersOnly(services: Services, caller: Caller): Promise<Checked<unknown>> {
  const isOpen = services.settings.recordReaders.log === 'everybody';
  return isOpen ? accepted(null) : readersOnly(services, caller);
}

/** For `readConsistency`. */
export function consistencyReadersOnly(
  services: Services,
  caller: Caller,
): Promise<Checked<unknown>> {
  return enrolledOnly(services, caller, SIGNATURE_TAGS.header);
}

/** For `readOwnProof`: the node whose own it is. */
export function ownProofAsker(services: Services, caller: Caller): Checked<Signer> {
  if (caller.kind !== 'network') return rejected('not_found'); // an admin reads the log
  return signerOf(services, caller.request, SIGNATURE_TAGS.epoch);
}

/** Whose rows and scores may be read: all, or those of one node; undefined: of none. */
export async function verdictsShownTo(
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
