import { toBase64 } from '../../contract/encoding.ts';
import { PAYLOAD_TYPES, readEnvelope, verifiedSigner } from '../../contract/envelope.ts';
import { accepted, type Checked, rejected } from '../../contract/problems.ts';
import { type ReachAnswer, type ReachDocument, reachSchema } from '../../contract/reach.ts';
import type { Services } from '../services.ts';
import { settle, signerNamed, withinBudget } from './accounting.ts';

export interface ReachCall {
  /** The node whose word it is. */
  readonly nodeId: string;
  /** An envelope, unchecked. */
  readonly body: unknown;
  /** Address that it came from. */
  readonly from: string;
}

/** How far a report's date may be from the controller's clock, ms. */
const MAX_AHEAD = 30_000;
const MAX_AGE = 60_000;

/** Takes what a node has of others: signed by itself, and newer than what it told before. */
export async function reportReach(
  services: Services,
  call: ReachCall,
): Promise<Checked<ReachAnswer>> {
  const account = { from: call.from, keyid: signerNamed(call.body) };
  const budget = withinBudget(services, account);
  return budget.ok ? settle(services, account, take(services, call)) : budget;
}

function take(services: Services, { nodeId, body }: ReachCall): Checked<ReachAnswer> {
  const { clock, directory, reach, reachAllowances } = services;
  const receivedAt = clock.now();
  // Before anything is verified; only what is, takes one.
  if (!reachAllowances.has(nodeId, receivedAt)) {
    return rejected('too_many_requests', { detail: 'A node may tell this every five seconds.' });
  }
  const read = verified(services, nodeId, body, receivedAt);
  if (!read.ok) return read;
  const { reported_at: reportedAt, others } = read.value;
  reachAllowances.take(nodeId, receivedAt);
  const told = new Map(others.map((one) => [one.node_id, one]));
  const known = [...told.values()].filter(
    ({ node_id }) => node_id !== nodeId && directory.nodes.has(node_id),
  );
  reach.take(nodeId, { reportedAt, receivedAt, others: known });
  return accepted({ node_id: nodeId, received_at: receivedAt });
}

function verified(
  { directory, crypto, meshId, reach }: Services,
  nodeId: string,
  body: unknown,
  now: number,
): Checked<ReachDocument> {
  const read = readEnvelope(body, PAYLOAD_TYPES.reach, reachSchema);
  if (!read.ok) return read;
  const { document, envelope } = read.value;
  if (envelope.signatures.length > 1) {
    return rejected('envelope_malformed', { field: 'signatures', expected: 'one signature' });
  }
  if (document.mesh_id !== toBase64(meshId)) {
    return rejected('wrong_mesh', { field: 'mesh_id', expected: 'the id of this mesh' });
  }
  if (document.node_id !== nodeId) {
    return rejected('wrong_node', { field: 'node_id', expected: 'the node of the path' });
  }
  const node = directory.nodes.get(nodeId);
  if (node === undefined) {
    const detail = 'It was removed from the mesh, or never enrolled.';
    return rejected('unknown_node', { field: 'node_id', expected: 'an enrolled node', detail });
  }
  // A replay costs no verification.
  const dated = checkDate(document.reported_at, now, reach.latestOf(nodeId)?.reportedAt);
  if (!dated.ok) return dated;
  if (verifiedSigner(crypto, read.value, [node.signing]) === undefined) {
    const expected = 'a signature by the node itself';
    return rejected('envelope_signature', { field: 'signatures', expected });
  }
  return accepted(document);
}

function checkDate(reportedAt: number, now: number, last: number | undefined): Checked<undefined> {
  const field = 'reported_at';
  if (reportedAt > now + MAX_AHEAD) {
    const expected = `at most ${MAX_AHEAD / 1000} s ahead of the server's time`;
    return rejected('observed_in_future', { field, expected, server_time: now });
  }
  if (reportedAt < now - MAX_AGE) {
    const expected = `at most ${MAX_AGE / 1000} s old`;
    return rejected('invalid_field', { field, expected });
  }
  if (last !== undefined && reportedAt <= last) {
    return rejected('observed_decreasing', { field, expected: 'later than the last report' });
  }
  return accepted(undefined);
}
