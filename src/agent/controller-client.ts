import { type RotateAnswer, rotateAnswerSchema } from '../contract/admin.ts';
import { type BenchmarkAnswer, benchmarkAnswerSchema } from '../contract/benchmark.ts';
import { toBase64Url } from '../contract/encoding.ts';
import { type EndpointAnswer, endpointAnswerSchema } from '../contract/endpoint.ts';
import type { EnrolmentRequest } from '../contract/enrolment.ts';
import type { Envelope } from '../contract/envelope.ts';
import { type EpochDocument, epochInPages } from '../contract/epoch.ts';
import {
  SIGNATURE_TAGS,
  type SignatureTag,
  signRequest,
  splitTarget,
} from '../contract/http-signature.ts';
import { FIRST_PROTOCOL, PROTOCOL, PROTOCOL_PARAMETER } from '../contract/protocol.ts';
import { envelopeHash, openReceipt, type Receipt, requestHash } from '../contract/receipt.ts';
import { violation } from '../contract/schema.ts';
import type { CryptoProvider, RandomBytes } from '../crypto/provider.ts';
import type { AgentClock } from './clock.ts';
import {
  CallError,
  limitedBytes,
  limitedText,
  parse,
  problemOf,
  reason,
} from './controller-answer.ts';
import type { OfferedPlaces } from './own-endpoint.ts';

/** `meshId`: of the mesh whose controller it is, once that is known. */
export type Fetch = (
  url: string,
  init: RequestInit,
  meshId: Uint8Array | undefined,
) => Promise<Response>;

/** What the answer to a signed request must fit. */
interface Sent {
  readonly nonce: string;
  /** Boot clock (s) just before the request was sent. */
  readonly sentAt: number;
}

/** The one place where a node is (null: nowhere), or those where it may be. */
export type Whereabouts = string | null | OfferedPlaces;

/** The answer to a request, unverified, and what it must fit. */
export interface SignedAnswer extends Sent {
  readonly body: unknown;
}

/** An answered config request. */
export interface ConfigAnswer extends Sent {
  /** Undefined: 304, nothing new and no new lifetime. */
  readonly body: unknown;
  readonly etag: string | undefined;
}

export interface ControllerClientOptions {
  readonly fetch: Fetch;
  readonly clock: AgentClock;
  readonly crypto: CryptoProvider;
  readonly random: RandomBytes;
  /** Base URL, e.g. `https://controller.example:8443`. */
  readonly url: string;
  /** ms until a call without an answer is given up. */
  readonly timeoutMs: number;
}

/** The slowest link that is waited for, bytes a second. */
const SLOWEST = 256;

/** The node's half of the HTTP contract. Keeps the difference to the controller's wall clock. */
export class ControllerClient {
  private readonly options: ControllerClientOptions;
  private readonly base: URL;
  private meshId: Uint8Array | undefined;
  /** The newest time that the controller signed for us, and when that came (boot clock, s). */
  private verified: { readonly time: number; readonly at: number } | undefined;
  private signsReceipts = false;

  constructor(options: ControllerClientOptions) {
    this.options = options;
    this.base = new URL(options.url);
    if (this.base.protocol !== 'http:' && this.base.protocol !== 'https:') {
      throw new RangeError('the controller URL must start with http:// or https://');
    }
  }

  /** The mesh whose controller is believed. Before this, no receipt is. */
  belongTo(meshId: Uint8Array): void {
    this.meshId = meshId;
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

  /** `protocol`: the number in a signed config. What that controller signs is not taken unsigned. */
  learnProtocol(protocol: number): void {
    this.signsReceipts = protocol > FIRST_PROTOCOL;
  }

  newNonce(): string {
    return toBase64Url(this.options.random(16));
  }

  /** Sends the enrolment; returns the controller's answer, unverified. */
  async enrol(body: EnrolmentRequest): Promise<unknown> {
    return parse(await this.post('/v1/nodes', body));
  }

  /**
   * Delivers a score. A success is one only with the answer of a controller in it: whatever else
   * says 2xx (a captive portal, a proxy) has taken nothing.
   */
  async postBenchmark(nodeId: string, envelope: Envelope): Promise<void> {
    const hash = envelopeHash(this.options.crypto, envelope);
    let body: unknown;
    try {
      body = parse(await this.post(`/v1/benchmarks/${nodeId}`, envelope));
    } catch (error) {
      throw error instanceof CallError ? this.withReceipt(error, hash) : error;
    }
    const receipt = this.receiptIn(body, hash);
    if (receipt?.code === 'accepted') {
      this.learnTime(receipt.server_time);
      return;
    }
    // A controller of protocol 1 signs none; its answer has this shape.
    const bad = violation(benchmarkAnswerSchema, body);
    const isOther = bad === undefined && (body as BenchmarkAnswer).node_id !== nodeId;
    if (bad || isOther || receipt || this.signsReceipts) {
      const what = 'a success without the answer of a controller; is there a proxy on the way?';
      throw new CallError(0, 'unexpected_answer', what);
    }
  }

  /**
   * Shows the controller a header or an event that it signed and that is newer than what it gave out.
   * Aborts with `signal`.
   */
  async postSeen(newest: Envelope, signal: AbortSignal): Promise<void> {
    await this.post('/v1/epoch/seen', newest, signal);
  }

  /** `etag`: of the config in force; with it the answer may be 304. */
  async getConfig(
    nodeId: string,
    signingSeed: Uint8Array,
    etag: string | undefined,
    signal: AbortSignal,
  ): Promise<ConfigAnswer> {
    const headers: Record<string, string> = { accept: 'application/json' };
    if (etag !== undefined) headers['if-none-match'] = etag;
    return this.signed(
      `/v1/config/${nodeId}`,
      SIGNATURE_TAGS.config,
      signingSeed,
      headers,
      async (url, init, sent) =>
        this.timed(signal, async (limited, received) => {
          const response = await this.send(url, { ...init, signal: limited });
          const text = await limitedText(response, received);
          const answer = { etag: response.headers.get('etag') ?? undefined, ...sent };
          return { ...answer, body: response.status === 304 ? undefined : parse(text) };
        }),
    );
  }

  /** What this node is at this moment: a lease, unverified. */
  async getLease(
    nodeId: string,
    signingSeed: Uint8Array,
    signal: AbortSignal,
  ): Promise<SignedAnswer> {
    const headers = { accept: 'application/json' };
    return this.signed(
      `/v1/lease/${nodeId}`,
      SIGNATURE_TAGS.lease,
      signingSeed,
      headers,
      async (url, init, sent) =>
        this.timed(signal, async (limited) => {
          const response = await this.send(url, { ...init, signal: limited });
          return { ...sent, body: parse(await limitedText(response)) };
        }),
    );
  }

  /** What a member needs of the present epoch: unverified. `since`: version of the membership held. */
  async getKeys(
    nodeId: string,
    signingSeed: Uint8Array,
    since: number | undefined,
    signal: AbortSignal,
  ): Promise<unknown> {
    const headers = { accept: 'application/json' };
    const target = `/v1/keys/${nodeId}${since === undefined ? '' : `?since=${since}`}`;
    return this.signed(target, SIGNATURE_TAGS.keys, signingSeed, headers, (url, init) =>
      this.timed(signal, async (limited, received) =>
        parse(await limitedText(await this.send(url, { ...init, signal: limited }), received)),
      ),
    );
  }

  /** The bytes of a piece by its name (base64url), unverified; undefined: it is not kept. */
  async getPiece(name: string, signal: AbortSignal): Promise<Uint8Array | undefined> {
    const init = { headers: { accept: 'application/octet-stream' } };
    return this.timed(signal, async (limited, received) => {
      try {
        const url = this.url(`/v1/pieces/${name}`);
        return await limitedBytes(await this.send(url, { ...init, signal: limited }), received);
      } catch (error) {
        if (error instanceof CallError && error.code === 'piece_unknown') return undefined;
        throw error;
      }
    });
  }

  /** The signed header of an epoch, by default the newest: unverified. Undefined: it is not kept. */
  async getHeader(signingSeed: Uint8Array, epoch: number | undefined): Promise<unknown> {
    const never = new AbortController().signal;
    const headers = { accept: 'application/json' };
    const target = epoch === undefined ? '/v1/header' : `/v1/header?epoch=${epoch}`;
    return this.signed(target, SIGNATURE_TAGS.header, signingSeed, headers, (url, init) =>
      this.timed(never, async (signal) => {
        try {
          return parse(await limitedText(await this.send(url, { ...init, signal })));
        } catch (error) {
          if (error instanceof CallError && error.code === 'header_unknown') return undefined;
          throw error;
        }
      }),
    );
  }

  /** What shows that the log of `size` leaves begins with that of `oldSize`: unverified. */
  async getConsistency(signingSeed: Uint8Array, oldSize: number, size: number): Promise<unknown> {
    const never = new AbortController().signal;
    const headers = { accept: 'application/json' };
    const target = `/log/consistency?old=${oldSize}&size=${size}`;
    return this.signed(target, SIGNATURE_TAGS.header, signingSeed, headers, (url, init) =>
      this.timed(never, async (signal) =>
        parse(await limitedText(await this.send(url, { ...init, signal }))),
      ),
    );
  }

  /** A file of the log by its path below `/log/`: unverified. For members. Undefined: there is none. */
  async getLogFile(signingSeed: Uint8Array, path: string): Promise<Uint8Array | undefined> {
    const never = new AbortController().signal;
    const headers = { accept: '*/*' };
    return this.signed(`/log/${path}`, SIGNATURE_TAGS.epoch, signingSeed, headers, (url, init) =>
      this.timed(never, async (signal, received) => {
        try {
          return await limitedBytes(await this.send(url, { ...init, signal }), received);
        } catch (error) {
          if (error instanceof CallError && error.code === 'not_found') return undefined;
          throw error;
        }
      }),
    );
  }

  /** Who is in, who is out, and why: unverified, for people to read. For members. */
  async getEpoch(signingSeed: Uint8Array): Promise<EpochDocument> {
    const never = new AbortController().signal;
    const headers = { accept: 'application/json' };
    return epochInPages((target) =>
      this.signed(target, SIGNATURE_TAGS.epoch, signingSeed, headers, (url, init) =>
        this.timed(
          never,
          async (signal) =>
            parse(await limitedText(await this.send(url, { ...init, signal }))) as EpochDocument,
        ),
      ),
    );
  }

  /** Tells where members try to reach this node from the next epoch on, and what of it they are told. */
  async putEndpoint(
    nodeId: string,
    signingSeed: Uint8Array,
    where: Whereabouts,
    signal: AbortSignal,
  ): Promise<EndpointAnswer> {
    const target = `/v1/nodes/${nodeId}/endpoint${queryOf(where)}`;
    const headers = { accept: 'application/json' };
    const body = await this.signed(
      target,
      SIGNATURE_TAGS.endpoint,
      signingSeed,
      headers,
      (url, init) =>
        this.timed(signal, async (limited) =>
          parse(await limitedText(await this.send(url, { ...init, signal: limited }))),
        ),
      'PUT',
    );
    if (violation(endpointAnswerSchema, body)) {
      throw new CallError(0, 'unexpected_answer', 'a success without the answer of a controller');
    }
    return body as EndpointAnswer;
  }

  /** Takes this node out of the mesh for good. Rejects unless a controller says that it is. */
  async leave(nodeId: string, signingSeed: Uint8Array): Promise<RotateAnswer> {
    const never = new AbortController().signal;
    const body = await this.signed(
      `/v1/nodes/${nodeId}/leave`,
      SIGNATURE_TAGS.leave,
      signingSeed,
      { accept: 'application/json' },
      (url, init) =>
        this.timed(never, async (limited) =>
          parse(await limitedText(await this.send(url, { ...init, signal: limited }))),
        ),
      'POST',
    );
    if (violation(rotateAnswerSchema, body)) {
      throw new CallError(0, 'unexpected_answer', 'a success without the answer of a controller');
    }
    return body as RotateAnswer;
  }

  /** The body of the event stream; abort `signal` to end it. */
  async openStream(
    nodeId: string,
    signingSeed: Uint8Array,
    signal: AbortSignal,
  ): Promise<ReadableStream<Uint8Array>> {
    const response = await this.signed(
      `/v1/stream/${nodeId}`,
      SIGNATURE_TAGS.stream,
      signingSeed,
      { accept: 'text/event-stream' },
      async (url, init) =>
        this.timed(signal, (limited) => this.send(url, { ...init, signal: limited })),
    );
    const type = response.headers.get('content-type') ?? '';
    if (!response.body || !type.startsWith('text/event-stream')) {
      await response.body?.cancel();
      throw new CallError(response.status, 'unexpected_answer', 'this is not an event stream');
    }
    return response.body;
  }

  /**
   * A signed request. If the controller finds our clock off, its signed time comes with the 401, and the
   * request is made once more.
   */
  private async signed<T>(
    target: string,
    tag: SignatureTag,
    signingSeed: Uint8Array,
    headers: Record<string, string>,
    run: (url: URL, init: RequestInit, sent: Sent) => Promise<T>,
    method: 'GET' | 'PUT' | 'POST' = 'GET',
  ): Promise<T> {
    const { clock, crypto } = this.options;
    const url = this.url(target);
    for (let attempt = 0; ; attempt++) {
      const sent = { nonce: this.newNonce(), sentAt: clock.boot() };
      const request = {
        method,
        authority: url.host,
        ...splitTarget(url.pathname + url.search),
      };
      const signature = signRequest(crypto, signingSeed, request, {
        created: Math.floor(this.controllerTime() / 1000),
        nonce: sent.nonce,
        tag,
      });
      try {
        return await run(url, { method, headers: { ...headers, ...signature } }, sent);
      } catch (error) {
        if (!(error instanceof CallError)) throw error;
        const receipt = this.receiptIn(error.answer, requestHash(crypto, signature.signature!));
        if (receipt?.code !== 'signature_expired' || attempt > 0) throw error;
        this.learnTime(receipt.server_time);
      }
    }
  }

  private async post(
    target: string,
    body: object,
    until = new AbortController().signal,
  ): Promise<string> {
    const init = {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify(body),
    };
    return this.timed(until, async (signal) =>
      limitedText(await this.send(this.url(target), { ...init, signal })),
    );
  }

  private receiptIn(answer: unknown, request: Uint8Array): Receipt | undefined {
    if (this.meshId === undefined) return undefined;
    return openReceipt(this.options.crypto, this.meshId, request, answer);
  }

  private withReceipt(error: CallError, request: Uint8Array): CallError {
    const receipt = this.receiptIn(error.answer, request);
    if (receipt === undefined) return error;
    return new CallError(error.status, receipt.code, error.message, { receipt });
  }

  private url(target: string): URL {
    const url = new URL(this.base.pathname.replace(/\/$/, '') + target, this.base);
    url.searchParams.set(PROTOCOL_PARAMETER, String(PROTOCOL));
    return url;
  }

  /**
   * Runs `work` with a signal that aborts with `signal`, and by itself when nothing comes in time. What
   * has come in buys time for more, so that a slow link is waited for and one that stands still is not.
   */
  private async timed<T>(
    signal: AbortSignal,
    work: (limited: AbortSignal, received: (bytes: number) => void) => Promise<T>,
  ): Promise<T> {
    const { clock, timeoutMs } = this.options;
    const timeout = new AbortController();
    const done = new AbortController();
    let deadline = clock.monotonic() + timeoutMs;
    const watch = async () => {
      while (!done.signal.aborted) {
        const left = deadline - clock.monotonic();
        if (left <= 0) return timeout.abort();
        await clock.sleep(left, done.signal);
      }
    };
    void watch();
    try {
      return await work(AbortSignal.any([signal, timeout.signal]), (bytes) => {
        deadline += (bytes / SLOWEST) * 1000;
      });
    } catch (error) {
      if (!timeout.signal.aborted) throw error;
      throw new CallError(0, 'timeout', 'the controller did not answer in time');
    } finally {
      done.abort();
    }
  }

  /** A response with status 2xx or 304; anything else is thrown as a `CallError`. */
  private async send(url: URL, init: RequestInit): Promise<Response> {
    let response: Response;
    try {
      response = await this.options.fetch(url.href, { ...init, redirect: 'error' }, this.meshId);
    } catch (error) {
      const why = reason(error);
      // What plain HTTP meets at a port that speaks TLS.
      const isHungUp = url.protocol === 'http:' && why === 'UND_ERR_SOCKET';
      const hint = isHungUp ? ' (if it speaks TLS, its URL begins with https://)' : '';
      throw new CallError(0, 'unreachable', `the controller cannot be reached: ${why}${hint}`);
    }
    if (response.ok || response.status === 304) return response;
    throw await problemOf(response);
  }
}

function queryOf(where: Whereabouts): string {
  if (where === null) return '';
  if (typeof where === 'string') return `?endpoint=${encodeURIComponent(where)}`;
  const { candidates, seenPort } = where;
  const list =
    candidates.length === 0 ? '' : `candidates=${encodeURIComponent(candidates.join())}&`;
  return `?${list}seen_port=${seenPort}`;
}
