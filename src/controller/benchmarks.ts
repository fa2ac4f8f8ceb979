import { type BenchmarkAnswer, benchmarkSchema } from '../contract/benchmark.ts';
import { toBase64 } from '../contract/encoding.ts';
import { PAYLOAD_TYPES, readEnvelope, verifiedSigner } from '../contract/envelope.ts';
import { signingKeyId } from '../contract/ids.ts';
import { accepted, type Checked, rejected } from '../contract/problems.ts';
import { envelopeHash } from '../contract/receipt.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import { Allowances } from './allowances.ts';
import type { ControllerClock } from './clock.ts';
import type { EmitControllerEvent } from './events.ts';
import type { Governor } from './governor.ts';
import { suitesOf } from './policy.ts';
import type { Receipts } from './receipts.ts';
import type { Settings } from './settings.ts';
import type { Store } from './store/store.ts';

/** An observation may lie this far ahead of the controller's clock, ms. */
const MAX_AHEAD = 30_000;
/**
 * Each accepted score costs a sync of the disk: a signer gets this many at once and as many again
 * in a report interval, so that a member run wild cannot keep the others' scores out.
 */
const BURST = 10;
/** Above this many (signer, node, suite), the one that reported longest ago is forgotten. */
const MAX_SERIES = 100_000;

export interface BenchmarksOptions {
  readonly store: Store;
  readonly governor: Governor;
  readonly settings: Settings;
  readonly clock: ControllerClock;
  readonly crypto: CryptoProvider;
  readonly meshId: Uint8Array;
  readonly receipts: Receipts;
  readonly emit: EmitControllerEvent;
}

/** Takes scores: signed by whom the policy accepts, fresh, in sequence. */
export class Benchmarks {
  private readonly options: BenchmarksOptions;
  /** By (keyid, node, suite). */
  private readonly allowances: Allowances;

  constructor(options: BenchmarksOptions) {
    this.options = options;
    const intervalMs = (options.settings.reportIntervalS * 1000) / BURST;
    this.allowances = new Allowances({ burst: BURST, intervalMs, maxKeys: MAX_SERIES });
  }

  /** `nodeId`: of the path. `body`: an envelope, unchecked. */
  async take(nodeId: string, body: unknown): Promise<Checked<BenchmarkAnswer>> {
    const { store, governor, settings, clock, crypto, meshId, receipts } = this.options;
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
    const node = governor.nodes.get(nodeId);
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
    const receivedAt = clock.now();
    const hash = envelopeHash(crypto, envelope);
    if (document.observed_at > receivedAt + MAX_AHEAD) {
      return rejected('observed_in_future', {
        field: 'observed_at',
        expected: `at most ${MAX_AHEAD / 1000} s ahead of the server's time`,
        server_time: receivedAt,
        ...receipts.sign(hash, 'observed_in_future'),
      });
    }
    const { suite, sequence } = document;
    const signerId = signingKeyId(crypto, signer);
    const series = `${signerId} ${nodeId} ${suite}`;
    if (!this.allowances.has(series, receivedAt)) {
      const detail = `At most ${BURST} scores in a report interval of ${settings.reportIntervalS} s.`;
      return rejected('too_many_requests', { detail });
    }
    const outcome = await store.recordBenchmark({
      nodeId,
      suite,
      signer: signerId,
      sequence,
      observedAt: document.observed_at,
      receivedAt,
      score: document.score,
      samples: document.samples,
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
    this.allowances.take(series, receivedAt); // only now: replays of a node's scores must not cost it
    const { score, samples, observed_at } = document;
    this.options.emit({
      event: 'score_accepted',
      node: nodeId,
      suite,
      signer: signerId,
      sequence,
      score,
      samples,
      observed_at,
    });
    governor.reported(nodeId);
    const answer = { node_id: nodeId, suite, sequence, received_at: receivedAt };
    return accepted({ ...answer, ...receipts.sign(hash, 'accepted') });
  }
}

const EXPECTED = {
  sequence_replayed: ['sequence', 'more than the last one'],
  sequence_too_far: ['sequence', 'at most 1000000 more than the last one'],
  observed_decreasing: ['observed_at', 'not before the last observation'],
} as const;
