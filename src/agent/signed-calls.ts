import { toBase64Url } from '../contract/encoding.ts';
import { type SignatureTag, signRequest, splitTarget } from '../contract/http-signature.ts';
import { openReceipt, type Receipt, requestHash } from '../contract/receipt.ts';
import type { CryptoProvider, RandomBytes } from '../crypto/provider.ts';
import type { AgentClock } from './clock.ts';
import { CallError } from './controller-answer.ts';
import type { HttpCalls, Received } from './http-calls.ts';

/** What the answer to a signed request must fit. */
export interface Sent {
  readonly nonce: string;
  /** Boot clock (s) just before the request was sent. */
  readonly sentAt: number;
}

/** A request that is to be signed. */
export interface SignedRequest {
  readonly method?: 'GET' | 'PUT' | 'POST';
  /** A path, perhaps with a query. */
  readonly target: string;
  readonly tag: SignatureTag;
  readonly signingSeed: Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  /** Default: it is only given up when nothing comes in time. */
  readonly signal?: AbortSignal;
}

export interface SignedCallsOptions {
  readonly calls: HttpCalls;
  readonly clock: AgentClock;
  readonly crypto: CryptoProvider;
  readonly random: RandomBytes;
}

/** Signed requests, by the controller's wall clock: what it signs itself tells that. */
export class SignedCalls {
  private readonly options: SignedCallsOptions;
  /** The newest time that the controller signed for us, and when that came (boot clock, s). */
  private verified: { readonly time: number; readonly at: number } | undefined;

  constructor(options: SignedCallsOptions) {
    this.options = options;
  }

  /**
   * Controller's wall clock, ms since 1970: what it signed last and what has passed since on the boot
   * clock, so never ahead of it. This machine's own wall clock while it has signed nothing.
   */
  controllerTime(): number {
    const { clock } = this.options;
    if (this.verified === undefined) return Math.round(clock.wall());
    return Math.round(this.verified.time + (clock.boot() - this.verified.at) * 1000);
  }

  /** `time`: the controller's wall clock, ms, out of a signed answer to a request of ours. */
  learnTime(time: number): void {
    this.verified = { time, at: this.options.clock.boot() };
  }

  newNonce(): string {
    return toBase64Url(this.options.random(16));
  }

  /** The receipt in an answer to `request`, if the mesh's controller has signed it for that. */
  receiptIn(answer: unknown, request: Uint8Array): Receipt | undefined {
    const { crypto, calls } = this.options;
    return calls.meshId && openReceipt(crypto, calls.meshId, request, answer);
  }

  /** The JSON that a signed request is answered with, unverified. */
  json(request: SignedRequest): Promise<unknown> {
    const { calls } = this.options;
    const signal = request.signal ?? new AbortController().signal;
    return this.sign(request, (url, init) => calls.json(url, init, signal));
  }

  /** A signed request, and what `read` makes of its response. */
  call<T>(
    request: SignedRequest,
    read: (response: Response, received: Received, sent: Sent) => Promise<T> | T,
  ): Promise<T> {
    const { calls } = this.options;
    const signal = request.signal ?? new AbortController().signal;
    return this.sign(request, (url, init, sent) =>
      calls.timed(url, init, signal, (response, received) => read(response, received, sent)),
    );
  }

  /** If the controller finds our clock off, its signed time comes with the 401, and it is asked once more. */
  private async sign<T>(
    { method = 'GET', target, tag, signingSeed, headers }: SignedRequest,
    run: (url: URL, init: RequestInit, sent: Sent) => Promise<T>,
  ): Promise<T> {
    const { calls, clock, crypto } = this.options;
    const url = calls.url(target);
    for (let attempt = 0; ; attempt++) {
      const sent = { nonce: this.newNonce(), sentAt: clock.boot() };
      const parts = { method, authority: url.host, ...splitTarget(url.pathname + url.search) };
      const signature = signRequest(crypto, signingSeed, parts, {
        created: Math.floor(this.controllerTime() / 1000),
        nonce: sent.nonce,
        tag,
      });
      const init = { method, headers: { accept: 'application/json', ...headers, ...signature } };
      try {
        return await run(url, init, sent);
      } catch (error) {
        if (!(error instanceof CallError)) throw error;
        const receipt = this.receiptIn(error.answer, requestHash(crypto, signature.signature!));
        if (receipt?.code !== 'signature_expired' || attempt > 0) throw error;
        this.learnTime(receipt.server_time);
      }
    }
  }
}
