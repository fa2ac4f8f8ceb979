import { toBase64 } from '../../contract/encoding.ts';
import type { PolicyText } from '../../contract/record/leaf.ts';
import type { CryptoProvider } from '../../crypto/provider.ts';
import { canonicalBytes, type Json } from '../../record/canonical-json.ts';
import type { Policy } from '../policy.ts';
import type { Settings } from '../settings.ts';

/** What verdicts follow from, besides scores. */
export type JudgedBy = Pick<Settings, 'policy' | 'evaluators' | 'observeOnly' | 'epochS'>;

/** The settings by which a mesh is judged, as the log keeps them. */
export function policyText({ policy, evaluators, observeOnly, epochS }: JudgedBy): PolicyText {
  return {
    policy: JSON.parse(JSON.stringify(policy)) as Json,
    evaluators: evaluators.map(toBase64),
    observe_only: observeOnly,
    epoch_s: epochS,
  };
}

/** Base64 of the SHA-256 of its canonical JSON. */
export function policyHash(crypto: CryptoProvider, text: PolicyText): string {
  return toBase64(crypto.sha256(canonicalBytes(text)));
}
/** The settings of such a text, which a controller of this version wrote. */
export function judgedBy(text: PolicyText): JudgedBy {
  return {
    policy: text.policy as unknown as Policy,
    evaluators: (text.evaluators as readonly string[]).map((key) => Uint8Array.fromBase64(key)),
    observeOnly: text.observe_only as boolean,
    epochS: text.epoch_s as number,
  };
}
