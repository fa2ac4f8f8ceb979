import {
  type RequestParts,
  readSignature,
  type SignatureTag,
  signatureIsValid,
} from '../contract/http-signature.ts';
import { accepted, type Checked, rejected } from '../contract/problems.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import type { ControllerClock } from './clock.ts';
import type { NodeRecord } from './store.ts';

/** A signature is good for this long either side of the server's clock, seconds. */
const MAX_SKEW_S = 60;
/** Nonces remembered per key; a node that signs more in two minutes is turned away. */
const MAX_NONCES_PER_KEY = 1024;

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/** Who signed a request (RFC 9421): fresh, by an enrolled node, once. */
export class RequestAuth {
  private readonly crypto: CryptoProvider;
  private readonly clock: ControllerClock;
  /** keyid -> nonce -> when it may be forgotten (s). Only of verified requests, so bounded. */
  private readonly nonces = new Map<string, Map<string, number>>();

  constructor(crypto: CryptoProvider, clock: ControllerClock) {
    this.crypto = crypto;
    this.clock = clock;
  }

  /** The node, found by `nodeOfKey`, that signed this request for the purpose `tag`, and its nonce. */
  verify(
    nodeOfKey: (keyid: string) => NodeRecord | undefined,
    request: RequestParts,
    headers: Headers,
    tag: SignatureTag,
  ): Checked<{ node: NodeRecord; nonce: string }> {
    const server_time = this.clock.wall();
    const read = readSignature(headers);
    if (!read.ok) return { ok: false, problem: { ...read.problem, server_time } };
    const { created, nonce, keyid } = read.value.parameters;
    const node = nodeOfKey(keyid);
    if (!node || !signatureIsValid(this.crypto, node.signing, request, read.value, tag)) {
      return rejected('signature_invalid', { server_time });
    }
    if (Math.abs(created - server_time / 1000) > MAX_SKEW_S) {
      const expected = `created within ${MAX_SKEW_S} s of the server's time`;
      return rejected('signature_expired', { server_time, field: 'created', expected });
    }
    if (!this.useNonce(keyid, nonce, server_time / 1000)) {
      return rejected('nonce_reused', { server_time, field: 'nonce' });
    }
    return accepted({ node, nonce });
  }

  private useNonce(keyid: string, nonce: string, now: number): boolean {
    const used = this.nonces.get(keyid) ?? new Map<string, number>();
    this.nonces.set(keyid, used);
    for (const [old, until] of used) {
      if (until > now) break; // oldest first
      used.delete(old);
    }
    if (used.has(nonce) || used.size >= MAX_NONCES_PER_KEY) return false;
    used.set(nonce, now + 2 * MAX_SKEW_S);
    return true;
  }
}
