import { toBase64Url } from '../contract/encoding.ts';
import type { EnrolmentRequest } from '../contract/enrolment.ts';
import type { Envelope } from '../contract/envelope.ts';
import {
  SIGNATURE_TAGS,
  type SignatureTag,
  signRequest,
  splitTarget,
} from '../contract/http-signature.ts';
import type { CryptoProvider, RandomBytes } from '../crypto/provider.ts';
import type { AgentClock } from './clock.ts';

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** Why a call failed: no answer, or an answer that is a problem document. */
export class CallError extends Error {
  /** HTTP status; 0 without an answer. */
  readonly status: number;
  /** Problem code, or `unreachable`, `timeout`, `unexpected_answer`. */
  readonly code: string;
  /** Members of the problem document that a caller may need. */
  readonly last: number | undefined;
  readonly serverTime: number | undefined;

  constructor(
    status: number,
    code: string,
    message: string,
    details: { last?: number | undefined; serverTime?: number | undefined } = {},
  ) {
    super(message);
    this.name = 'CallError';
    this.status = status;
    this.code = code;
    this.last = details.last;
    this.serverTime = details.serverTime;
  }
}

/** What the answer to a signed request must fit. */
interface Sent {
  readonly nonce: string;
  /** Boot clock (s) and wall clock (ms) just before the request was sent. */
  readonly sentAt: number;
  readonly sentAtWall: number;
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

const MAX_ANSWER_BYTES = 16_000_000;

/** The node's half of the HTTP contract. Keeps the difference to the controller's wall clock. */
export class ControllerClient {
  private readonly options: ControllerClientOptions;
  private readonly base: URL;
  /** Controller's wall clock minus ours, ms. */
  private clockOffset = 0;

  constructor(options: ControllerClientOptions) {
    this.options = options;
    this.base = new URL(options.url);
    if (this.base.protocol !== 'http:' && this.base.protocol !== 'https:') {
      throw new RangeError('the controller URL must start with http:// or https://');
    }
  }

  /** Wall clock as the controller has it, ms since 1970. */
  controllerTime(): number {
    return Math.round(this.options.clock.wall() + this.clockOffset);
  }

  /** `time`: the controller's wall clock when it answered a request sent at `sentAtWall` (ours). */
  learnTime(time: number, sentAtWall: number): void {
    this.clockOffset = time - (sentAtWall + this.options.clock.wall()) / 2;
  }

  newNonce(): string {
    return toBase64Url(this.options.random(16));
  }

  /** Sends the enrolment; returns the controller's answer, unverified. */
  async enrol(body: EnrolmentRequest): Promise<unknown> {
    return parse(await this.post('/v1/nodes', body));
  }

  async postBenchmark(nodeId: string, envelope: Envelope): Promise<void> {
    await this.post(`/v1/benchmarks/${nodeId}`, envelope);
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
        this.timed(signal, async (limited) => {
          const response = await this.send(url, { ...init, signal: limited });
          const text = await limitedText(response);
          const answer = { etag: response.headers.get('etag') ?? undefined, ...sent };
          return { ...answer, body: response.status === 304 ? undefined : parse(text) };
        }),
    );
  }

  /** Who is in, who is out, and why: unverified, for people to read. For members. */
  async getEpoch(signingSeed: Uint8Array): Promise<unknown> {
    const never = new AbortController().signal;
    const headers = { accept: 'application/json' };
    return this.signed('/v1/epoch', SIGNATURE_TAGS.epoch, signingSeed, headers, (url, init) =>
      this.timed(never, async (signal) =>
        parse(await limitedText(await this.send(url, { ...init, signal }))),
      ),
    );
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
   * A signed GET. If the controller finds our wall clock off, its time comes with the 401: it is
   * believed for one retry, because nothing but `created` of that retry hangs on it.
   */
  private async signed<T>(
    target: string,
    tag: SignatureTag,
    signingSeed: Uint8Array,
    headers: Record<string, string>,
    run: (url: URL, init: RequestInit, sent: Sent) => Promise<T>,
  ): Promise<T> {
    const { clock, crypto } = this.options;
    const url = this.url(target);
    for (let attempt = 0; ; attempt++) {
      const sent = { nonce: this.newNonce(), sentAt: clock.boot(), sentAtWall: clock.wall() };
      const request = {
        method: 'GET',
        authority: url.host,
        ...splitTarget(url.pathname + url.search),
      };
      const signature = signRequest(crypto, signingSeed, request, {
        created: Math.floor(this.controllerTime() / 1000),
        nonce: sent.nonce,
        tag,
      });
      try {
        return await run(url, { headers: { ...headers, ...signature } }, sent);
      } catch (error) {
        const skewed = error instanceof CallError && error.code === 'signature_expired';
        if (!skewed || error.serverTime === undefined || attempt > 0) throw error;
        this.learnTime(error.serverTime, sent.sentAtWall);
      }
    }
  }

  private async post(target: string, body: object): Promise<string> {
    const init = {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify(body),
    };
    const never = new AbortController().signal;
    return this.timed(never, async (signal) =>
      limitedText(await this.send(this.url(target), { ...init, signal })),
    );
  }

  private url(target: string): URL {
    return new URL(this.base.pathname.replace(/\/$/, '') + target, this.base);
  }

  /** Runs `work` with a signal that aborts with `signal`, and by itself when the time is over. */
  private async timed<T>(
    signal: AbortSignal,
    work: (limited: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const timeout = new AbortController();
    const done = new AbortController();
    void this.options.clock.sleep(this.options.timeoutMs, done.signal).then(() => {
      if (!done.signal.aborted) timeout.abort();
    });
    try {
      return await work(AbortSignal.any([signal, timeout.signal]));
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
      response = await this.options.fetch(url.href, { ...init, redirect: 'error' });
    } catch (error) {
      throw new CallError(0, 'unreachable', `the controller cannot be reached: ${reason(error)}`);
    }
    if (response.ok || response.status === 304) return response;
    throw await problemOf(response);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new CallError(0, 'unexpected_answer', 'the answer is not JSON');
  }
}

/** The body's text. A connection that breaks here counts as unreachable. */
async function limitedText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of response.body ?? []) {
      size += chunk.length;
      if (size > MAX_ANSWER_BYTES) break; // leaving the loop cancels the body
      chunks.push(chunk);
    }
  } catch (error) {
    throw new CallError(0, 'unreachable', `the answer broke off: ${reason(error)}`);
  }
  if (size > MAX_ANSWER_BYTES) {
    throw new CallError(response.status, 'unexpected_answer', 'the answer is too large');
  }
  return Buffer.concat(chunks).toString('utf8');
}

async function problemOf(response: Response): Promise<CallError> {
  const fallback = `the controller answered ${response.status}`;
  try {
    const value = JSON.parse(await limitedText(response)) as Record<string, unknown>;
    const code = typeof value.code === 'string' ? value.code.slice(0, 64) : 'unexpected_answer';
    const text = [value.title, value.detail].filter((part) => typeof part === 'string').join(': ');
    return new CallError(response.status, code, text.slice(0, 500) || fallback, {
      last: Number.isSafeInteger(value.last) ? (value.last as number) : undefined,
      serverTime: Number.isSafeInteger(value.server_time)
        ? (value.server_time as number)
        : undefined,
    });
  } catch {
    return new CallError(response.status, 'unexpected_answer', fallback);
  }
}

function reason(error: unknown): string {
  const cause = (error as { cause?: { code?: unknown } }).cause?.code;
  if (typeof cause === 'string') return cause;
  return error instanceof Error ? error.message : 'unknown error';
}
