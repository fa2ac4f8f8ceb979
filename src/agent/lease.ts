import { compareVersions } from '../contract/config.ts';
import { toBase64 } from '../contract/encoding.ts';
import { type LeaseDocument, openLease } from '../contract/epoch/lease.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import { type IgnoredConfig, isTooFar, type OwnIdentity } from './accepted-config.ts';
import type { SignedAnswer } from './controller-client.ts';
import type { Mark } from './node-state.ts';

/** A lease that is the controller's, for us, and answers our request. */
export interface Lease {
  readonly document: LeaseDocument;
  /** Boot clock, seconds, just before it was asked for: its time counts from here. */
  readonly askedAt: number;
}

/** Judges the answer to one request for a lease. `mark` is the highest (epoch, version) seen before. */
export function judgeLease(
  crypto: CryptoProvider,
  own: OwnIdentity,
  answer: SignedAnswer,
  mark: Mark,
): Lease | IgnoredConfig {
  const opened = openLease(crypto, answer.body, [own.controllerKey]);
  if (!opened.ok) {
    const { code, field, expected } = opened.problem;
    const ignored = code === 'envelope_signature' ? 'bad_signature' : 'malformed';
    return { ignored, detail: `${field ?? 'lease'}: expected ${expected ?? 'a valid signature'}` };
  }
  const document = opened.value;
  const told = `${document.epoch}.${document.version}`;
  const seen = `${mark.epoch}.${mark.version}`;
  if (document.mesh_id !== toBase64(own.meshId)) {
    return { ignored: 'wrong_mesh', detail: document.mesh_id };
  }
  if (document.audience !== own.nodeId) {
    return { ignored: 'wrong_audience', detail: document.audience };
  }
  if (document.nonce !== answer.nonce) {
    return { ignored: 'wrong_nonce', detail: 'answers another request' };
  }
  if (compareVersions(document, mark) < 0) {
    return { ignored: 'older', detail: `${told} is older than ${seen}` };
  }
  if (isTooFar(document, mark)) {
    return { ignored: 'too_far', detail: `${told} is no step from ${seen}` };
  }
  if (document.tunnel_prefix !== own.tunnelPrefix) {
    const detail = `tunnel_prefix ${document.tunnel_prefix} is not ${own.tunnelPrefix}, that of the enrolment`;
    return { ignored: 'inconsistent', detail };
  }
  return { document, askedAt: answer.sentAt };
}
