import {
  type BenchmarkAnswer,
  type BenchmarkDocument,
  benchmarkSchema,
} from '../../contract/benchmark.ts';
import { toBase64 } from '../../contract/encoding.ts';
import {
  type Envelope,
  PAYLOAD_TYPES,
  readEnvelope,
  verifiedSigner,
} from '../../contract/envelope.ts';
import { signingKeyId } from '../../contract/ids.ts';
import { accepted, type Checked, rejected } from '../../contract/problems.ts';
import { envelopeHash } from '../../contract/receipt.ts';
import { reportIntervalOf, SCORE_BURST } from '../limits.ts';
import { suitesOf } from '../policy.ts';
import type { Services } from '../services.ts';
import { settle, signerNamed, withinBudget } from './accounting.ts';

/** An observation may lie this far ahead of the controller's clock, ms. */
const MAX_AHEAD = 30_000;

export interface ScoreCall {
  /** The node that it is about. */
  readonly nodeId: string;
  /** An envelope, unchecked. */
  readonly body: unknown;
  /** Address that it came from. */
  readonly from: string;
}

/** Takes a score: signed by whom the policy accepts, fresh, in sequence. */
export async function reportScore(
  services: Services,
  call: ScoreCall,
): Promise<Checked<BenchmarkAnswer>> {
  const account = { from: call.from, keyid: signerNamed(call.body) };
  const budget = withinBudget(services, account);
  return budget.ok ? settle(services, account, await take(services, call)) : budget;
}

interface SignedScore {
  readonly document: BenchmarkDocument;
  readonly envelope: Envelope;
  /** keyid. */
  readonly signer: string;
}

/** A score of this mesh about an enrolled node, signed by whom the policy accepts. */
function verified(
  { directory, settings, crypto, meshId }: Services,
  { nodeId, body }: ScoreCall,
): Checked<SignedScore> {
  const read = readEnvelope(body, PAYLOAD_TYPES.benchmark, benchmarkSchema);
  if (!read.ok) return read;
  const { document, envelope } = read.value;
  const [signature, ...more] = envelope.signatures;
  if (signature === undefined || more.length > 0) {
    // Each could cost a verification, and a score has one signer.
    return rejected('envelope_malformed', { field: 'signatures', expected: 'one signature' });
  }
  if (document.mesh_id !== toBase64(meshId)) {
    return rejected('wrong_mesh', { field: 'mesh_id', expected: 'the id of this mesh' });
  }
  if (document.node_id !== nodeId) {
    const expected = 'the node of the path';
    return rejected('wrong_node', { field: 'node_id', expected });
  }
  const node = directory.nodes.get(nodeId);
  if (node === undefined) {
    const detail = 'It was removed from the mesh, or never enrolled.';
    return rejected('unknown_node', { field: 'node_id', expected: 'an enrolled node', detail });
  }
  const suites = suitesOf(settings.policy, nodeId);
  const rule = suites.find((one) => one.suite === document.suite);
  if (rule === undefined) {
    const expected = `one of ${suites.map((one) => one.suite).join(', ')}`;
    return rejected('unknown_suite', { field: 'suite', expected });
  }
  const signers = rule.signers === 'node' ? [node.signing] : settings.evaluators;
  const signer = verifiedSigner(crypto, read.value, signers);
  if (signer === undefined) {
    // The node's own signature on what only evaluators may judge is true, but not accepted.
    const isNamed = signature.keyid === signingKeyId(crypto, node.signing);
    const isTried = rule.signers === 'node' || !isNamed;
    const isOwn = !isTried && verifiedSigner(crypto, read.value, [node.signing]) !== undefined;
    const who = rule.signers === 'node' ? 'the node itself' : 'an evaluator of the policy';
    return rejected(isOwn ? 'signer_not_accepted' : 'envelope_signature', {
      field: 'signatures',
      expected: `a signature by ${who}`,
    });
  }
  return accepted({ document, envelope, signer: signingKeyId(crypto, signer) });
}

async function take(services: Services, call: ScoreCall): Promise<Checked<BenchmarkAnswer>> {
  const { store, governor, settings, clock, crypto, receipts, scoreAllowances, emit } = services;
  const read = verified(services, call);
  if (!read.ok) return read;
  const { document, envelope, signer } = read.value;
  const { node_id: nodeId, suite, sequence, score, samples, observed_at } = document;
  const receivedAt = clock.now();
  const hash = envelopeHash(crypto, envelope);
  if (observed_at > receivedAt + MAX_AHEAD) {
    return rejected('observed_in_future', {
      field: 'observed_at',
      expected: `at most ${MAX_AHEAD / 1000} s ahead of the server's time`,
      server_time: receivedAt,
      ...receipts.sign(hash, 'observed_in_future'),
    });
  }
  const series = `${signer} ${nodeId} ${suite}`;
  const intervalS = reportIntervalOf(settings, nodeId, suite);
  const costMs = (intervalS * 1000) / SCORE_BURST;
  if (!scoreAllowances.has(series, receivedAt, costMs)) {
    const detail = `At most ${SCORE_BURST} scores in a report interval of ${intervalS} s.`;
    return rejected('too_many_requests', { detail });
  }
  const outcome = await store.recordBenchmark({
    nodeId,
    suite,
    signer,
    sequence,
    observedAt: observed_at,
    receivedAt,
    score,
    samples,
    evidence: envelope,
    hash: toBase64(hash),
  });
  if (!outcome.ok) {
    const { reason } = outcome;
    if (reason === 'unknown_node') return rejected(reason, { field: 'node_id' });
    const [field, expected] = EXPECTED[reason];
    const { last } = outcome;
    return rejected(reason, { field, expected, last, ...receipts.sign(hash, reason, last) });
  }
  scoreAllowances.take(series, receivedAt, costMs); // only now: replays of a node's scores must not cost it
  const said = { suite, signer, sequence, score, samples, observed_at };
  emit({ event: 'score_accepted', node: nodeId, ...said });
  governor.reported(nodeId);
  const answer = { node_id: nodeId, suite, sequence, received_at: receivedAt };
  return accepted({ ...answer, ...receipts.sign(hash, 'accepted') });
}

const EXPECTED = {
  sequence_replayed: ['sequence', 'more than the last one'],
  sequence_too_far: ['sequence', 'at most 1000000 more than the last one'],
  observed_decreasing: ['observed_at', 'not before the last observation'],
} as const;
