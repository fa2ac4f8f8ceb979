import { PROTOCOL, PROTOCOL_PARAMETER } from '../contract/protocol.ts';
import type { AgentClock } from './clock.ts';
import { CallError, limitedText, parse, problemOf, reason } from './controller-answer.ts';

/** `meshId`: of the mesh whose controller it is, once that is known. */
export type Fetch = (
  url: string,
  init: RequestInit,
  meshId: Uint8Array | undefined,
) => Promise<Response>;

export interface HttpCallsOptions {
  readonly fetch: Fetch;
  readonly clock: AgentClock;
  /** Base URL, e.g. `https://controller.example:8443`. */
  readonly url: string;
  /** ms until a call without an answer is given up. */
  readonly timeoutMs: number;
}

/** Takes note of bytes that came in. */
export type Received = (bytes: number) => void;

/** The slowest link that is waited for, bytes a second. */
const SLOWEST = 256;

/** Calls to one controller over HTTP: where, how long it is waited for, and what is an answer. */
export class HttpCalls {
  private readonly options: HttpCallsOptions;
  private readonly base: URL;
  /** Once that is known: of the mesh whose controller is believed. */
  meshId: Uint8Array | undefined;

  constructor(options: HttpCallsOptions) {
    this.options = options;
    this.base = new URL(options.url);
    if (this.base.protocol !== 'http:' && this.base.protocol !== 'https:') {
      throw new RangeError('the controller URL must start with http:// or https://');
    }
  }

  /** `target`: a path, perhaps with a query. */
  url(target: string): URL {
    const url = new URL(this.base.pathname.replace(/\/$/, '') + target, this.base);
    url.searchParams.set(PROTOCOL_PARAMETER, String(PROTOCOL));
    return url;
  }

  /** The JSON that a request is answered with, while it comes in and until `signal` aborts. */
  async json(url: URL, init: RequestInit, signal: AbortSignal): Promise<unknown> {
    return parse(
      await this.timed(url, init, signal, (response, received) => limitedText(response, received)),
    );
  }

  /**
   * A request, and what `read` makes of its response. Given up when nothing comes in time; what has come
   * in buys time for more, so that a slow link is waited for and one that stands still is not.
   */
  async timed<T>(
    url: URL,
    init: RequestInit,
    signal: AbortSignal,
    read: (response: Response, received: Received) => Promise<T> | T,
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
      const limited = AbortSignal.any([signal, timeout.signal]);
      return await read(await this.send(url, { ...init, signal: limited }), (bytes) => {
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
