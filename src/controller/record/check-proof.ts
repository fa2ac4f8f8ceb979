import { toBase64 } from '../../contract/encoding.ts';
import { signingKeyId } from '../../contract/ids.ts';
import { parseEvidence, signerOf } from '../../contract/record/evidence.ts';
import type { OpenedProof } from '../../contract/record/proof.ts';
import type { CryptoProvider } from '../../crypto/provider.ts';
import type { Score } from '../policy.ts';
import { decideAlone, type VerdictAgain } from './decide-again.ts';
import { judgedBy } from './policy-text.ts';

/**
 * Makes the verdict of a proof again from its evidence. A string: why it does not follow. The
 * standing, what judgement remembered, is the epoch's own word here; the whole log shows whether the
 * epochs before left it so.
 */
export function checkVerdict(
  crypto: CryptoProvider,
  meshId: Uint8Array,
  { epoch, policy, enrolment, row, evidence }: OpenedProof,
): VerdictAgain | string {
  const by = judgedBy(policy.policy);
  const encoder = new TextEncoder();
  const envelopes = new Map(
    evidence
      .map((envelope) => parseEvidence(crypto, encoder.encode(JSON.stringify(envelope))))
      .filter((one) => one !== undefined)
      .map((one) => [one.hash, one]),
  );
  const evaluators = by.evaluators.map((key) => signingKeyId(crypto, key));
  const keys = [enrolment.keys.signing, ...by.evaluators.map(toBase64)];
  const scores: Score[] = [];
  for (const { hash, received_at } of row.evidence) {
    const one = envelopes.get(hash);
    if (one === undefined) return 'it names evidence that is not there';
    const { mesh_id, node_id, suite, score, samples, observed_at } = one.read.document;
    const signer = signerOf(crypto, one, keys);
    if (mesh_id !== toBase64(meshId) || node_id !== row.node || signer === undefined) continue;
    scores.push({
      suite,
      signer,
      score,
      samples,
      observedAt: observed_at,
      receivedAt: received_at,
    });
  }
  const own = [signingKeyId(crypto, Uint8Array.fromBase64(enrolment.keys.signing))];
  const again = decideAlone(by, row, {
    scores: new Map([[row.node, scores]]),
    signersOf: () => (rule) => (rule.signers === 'node' ? own : evaluators),
    evaluators,
    previous: undefined,
    epoch,
  });
  const isSame =
    again.allowed === row.allowed &&
    again.reason === row.reason &&
    again.passed === row.passed &&
    JSON.stringify(again.suites) === JSON.stringify(row.suites.map(inOrder));
  if (isSame) return again;
  const is = `${again.allowed ? 'a member' : 'denied'} (${again.reason})`;
  return `from the evidence ${row.node} is ${is}, with ${JSON.stringify(again.suites)}`;
}

/** With the members in the order that judgement gives them. */
function inOrder({ suite, score, age_s, samples, passed }: VerdictAgain['suites'][number]) {
  return { suite, score, age_s, samples, passed };
}
