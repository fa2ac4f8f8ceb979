import {
  type RequestParts,
  readSignature,
  type SignatureTag,
  signatureIsValid,
} from '../contract/http-signature.ts';
import { accepted, type Checked, rejected } from '../contract/problems.ts';
import { requestHash } from '../contract/receipt.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import { Allowances } from './allowances.ts';
import type { ControllerClock } from './clock.ts';
import { SIGNED_REQUESTS } from './limits.ts';
import type { Receipts } from './receipts.ts';
import type { NodeRecord } from './store/store.ts';

/** A signature is good for this long either side of the server's clock, ms. */
const MAX_SKEW = 60_000;
/** As long as a signature can be good, from the earliest `created` to the latest receipt, ms. */
const GENERATION = 2 * MAX_SKEW;

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/** Nonces by key, only of requests that were verified: bounded by the number of nodes and their allowances. */
type Nonces = Map<string, Set<string>>;

/** Who signed a request (RFC 9421): fresh, by an enrolled node, once. */
export class RequestAuth {
  private readonly crypto: CryptoProvider;
  private readonly clock: ControllerClock;
  private readonly receipts: Receipts;
  /**
   * Nonces are remembered in memory only. What was signed up to the second of the start may have
   * been used before it, so it is refused: the 401 tells the time, and the node signs again.
   */
  private readonly startedAt: number;
  private readonly allowances = new Allowances(SIGNED_REQUESTS);
  private current: Nonces = new Map();
  private previous: Nonces = new Map();
  private generation: number;

  constructor(crypto: CryptoProvider, clock: ControllerClock, receipts: Receipts) {
    this.crypto = crypto;
    this.receipts = receipts;
    this.clock = clock;
    this.startedAt = clock.now();
    this.generation = this.startedAt;
  }

  /** The node, found by `nodeOfKey`, that signed this request for the purpose `tag`, and its nonce. */
  verify(
    nodeOfKey: (keyid: string) => NodeRecord | undefined,
    request: RequestParts,
    headers: Headers,
    tag: SignatureTag,
  ): Checked<{ node: NodeRecord; nonce: string }> {
    const read = readSignature(headers);
    if (!read.ok) return read;
    const { created, nonce, keyid } = read.value.parameters;
    const node = nodeOfKey(keyid);
    if (!node || !signatureIsValid(this.crypto, node.signing, request, read.value, tag)) {
      return rejected('signature_invalid', {
        field: 'signature',
        expected:
          `a signature by an enrolled node, tag ${tag}, over authority ${request.authority} and ` +
          `path ${request.path}, as they arrived here (a proxy must pass Host and path on)`,
      });
    }
    const now = this.clock.now();
    const isBeforeStart = created <= Math.floor(this.startedAt / 1000);
    if (isBeforeStart || Math.abs(created * 1000 - now) > MAX_SKEW) {
      const expected = `within ${MAX_SKEW / 1000} s of the server's time, and after its start`;
      const hash = requestHash(this.crypto, String(headers.signature));
      return rejected('signature_expired', {
        field: 'created',
        expected,
        ...this.receipts.sign(hash, 'signature_expired'),
      });
    }
    this.turn(now);
    if (this.current.get(keyid)?.has(nonce) || this.previous.get(keyid)?.has(nonce)) {
      return rejected('nonce_reused', { field: 'nonce', expected: 'one that was not used before' });
    }
    if (!this.allowances.has(keyid, now)) {
      const { burst, intervalMs } = SIGNED_REQUESTS;
      const detail = `At most ${burst} requests of a node at once, and one every ${intervalMs} ms.`;
      return rejected('too_many_requests', { detail });
    }
    this.allowances.take(keyid, now);
    const used = this.current.get(keyid) ?? new Set<string>();
    this.current.set(keyid, used.add(nonce));
    return accepted({ node, nonce });
  }

  /** Forgets nonces when every signature with them has become too old. */
  private turn(now: number): void {
    const passed = now - this.generation;
    if (passed < GENERATION) return;
    this.previous = passed < 2 * GENERATION ? this.current : new Map();
    this.current = new Map();
    this.generation = now;
  }
}
