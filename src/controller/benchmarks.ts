import {
  type BenchmarkAnswer,
  type BenchmarkDocument,
  benchmarkSchema,
} from '../contract/benchmark.ts';
import { toBase64 } from '../contract/encoding.ts';
import { PAYLOAD_TYPES, readEnvelope, verifiedSigner } from '../contract/envelope.ts';
import { signingKeyId } from '../contract/ids.ts';
import { accepted, type Checked, rejected } from '../contract/problems.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import type { ControllerClock } from './clock.ts';
import type { Governor } from './governor.ts';
import type { Settings } from './settings.ts';
import type { Store } from './store.ts';

/** An observation may lie this far ahead of the controller's clock, ms. */
const MAX_AHEAD = 30_000;

export interface BenchmarksOptions {
  readonly store: Store;
  readonly governor: Governor;
  readonly settings: Settings;
  readonly clock: ControllerClock;
  readonly crypto: CryptoProvider;
  readonly meshId: Uint8Array;
}

/** Takes scores: signed by whom the policy accepts, fresh, in sequence. */
export class Benchmarks {
  accepted = 0;

  private readonly options: BenchmarksOptions;

  constructor(options: BenchmarksOptions) {
    this.options = options;
  }

  /** `nodeId`: of the path. `body`: an envelope, unchecked. */
  async take(nodeId: string, body: unknown): Promise<Checked<BenchmarkAnswer>> {
    const { store, governor, settings, clock, crypto, meshId } = this.options;
    const read = readEnvelope<BenchmarkDocument>(body, PAYLOAD_TYPES.benchmark, benchmarkSchema);
    if (!read.ok) return read;
    const { document, envelope } = read.value;
    if (document.mesh_id !== toBase64(meshId)) return rejected('wrong_mesh', { field: 'mesh_id' });
    if (document.node_id !== nodeId) {
      const expected = 'the node of the path';
      return rejected('wrong_node', { field: 'node_id', expected });
    }
    const node = governor.nodes.get(nodeId);
    if (node === undefined) return rejected('unknown_node');
    const rule = settings.policy.suites.find((one) => one.suite === document.suite);
    if (rule === undefined) {
      const expected = `one of ${settings.policy.suites.map((one) => one.suite).join(', ')}`;
      return rejected('unknown_suite', { field: 'suite', expected });
    }
    const signers = rule.signers === 'node' ? [node.signing] : settings.evaluators;
    const signer = verifiedSigner(crypto, read.value, signers);
    if (signer === undefined) {
      // The node's own signature on what only evaluators may judge is true, but not accepted.
      return verifiedSigner(crypto, read.value, [node.signing]) === undefined
        ? rejected('envelope_signature', { server_time: clock.wall() })
        : rejected('signer_not_accepted', {
            field: 'signatures',
            expected: `one of the ${rule.signers}`,
          });
    }
    const receivedAt = clock.wall();
    if (document.observed_at > receivedAt + MAX_AHEAD) {
      return rejected('observed_in_future', {
        field: 'observed_at',
        expected: `at most ${MAX_AHEAD / 1000} s ahead of the server's time`,
        server_time: receivedAt,
      });
    }
    const outcome = await store.recordBenchmark({
      nodeId,
      suite: document.suite,
      signer: signingKeyId(crypto, signer),
      sequence: document.sequence,
      observedAt: document.observed_at,
      receivedAt,
      score: document.score,
      samples: document.samples,
      evidence: envelope,
    });
    if (!outcome.ok) {
      if (outcome.reason === 'unknown_node') return rejected('unknown_node');
      const field = outcome.reason === 'observed_decreasing' ? 'observed_at' : 'sequence';
      return rejected(outcome.reason, { field, last: outcome.last });
    }
    this.accepted++;
    governor.reported(nodeId);
    const { suite, sequence } = document;
    return accepted({ node_id: nodeId, suite, sequence, received_at: receivedAt });
  }
}
