import { type RotateAnswer, rotateAnswerSchema } from '../contract/admin.ts';
import { type BenchmarkAnswer, benchmarkAnswerSchema } from '../contract/benchmark.ts';
import { type EndpointAnswer, endpointAnswerSchema } from '../contract/endpoint.ts';
import type { EnrolmentRequest } from '../contract/enrolment.ts';
import type { Envelope } from '../contract/envelope.ts';
import { type EpochDocument, epochInPages } from '../contract/epoch.ts';
import { SIGNATURE_TAGS } from '../contract/http-signature.ts';
import { FIRST_PROTOCOL } from '../contract/protocol.ts';
import { reachAnswerSchema } from '../contract/reach.ts';
import { envelopeHash } from '../contract/receipt.ts';
import { type Schema, violation } from '../contract/schema.ts';
import type { CryptoProvider, RandomBytes } from '../crypto/provider.ts';
import { CallError, limitedBytes, limitedText, parse } from './controller-answer.ts';
import { HttpCalls, type HttpCallsOptions } from './http-calls.ts';
import type { OfferedPlaces } from './own-endpoint.ts';
import { type Sent, SignedCalls } from './signed-calls.ts';

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

export interface ControllerClientOptions extends HttpCallsOptions {
  readonly crypto: CryptoProvider;
  readonly random: RandomBytes;
}

/** The node's half of the HTTP contract: what can be asked of a controller, and what counts as its answer. */
export class ControllerClient {
  private readonly crypto: CryptoProvider;
  private readonly calls: HttpCalls;
  private readonly signed: SignedCalls;
  private spoken = FIRST_PROTOCOL;

  constructor(options: ControllerClientOptions) {
    const { crypto, random, clock } = options;
    this.crypto = crypto;
    this.calls = new HttpCalls(options);
    this.signed = new SignedCalls({ calls: this.calls, crypto, random, clock });
  }

  /** The mesh whose controller is believed. Before this, no receipt is. */
  belongTo(meshId: Uint8Array): void {
    this.calls.meshId = meshId;
  }

  /** Controller's wall clock, ms since 1970, never ahead of it (`SignedCalls`). */
  controllerTime(): number {
    return this.signed.controllerTime();
  }

  /** `time`: the controller's wall clock, ms, out of a signed answer to a request of ours. */
  learnTime(time: number): void {
    this.signed.learnTime(time);
  }

  /** `protocol`: the number in a signed config. What that controller signs is not taken unsigned. */
  learnProtocol(protocol: number): void {
    this.spoken = protocol;
  }

  /** The newest of such numbers; that of the first version before there was one. */
  get protocol(): number {
    return this.spoken;
  }

  newNonce(): string {
    return this.signed.newNonce();
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
    const hash = envelopeHash(this.crypto, envelope);
    let body: unknown;
    try {
      body = parse(await this.post(`/v1/benchmarks/${nodeId}`, envelope));
    } catch (error) {
      throw error instanceof CallError ? this.withReceipt(error, hash) : error;
    }
    const receipt = this.signed.receiptIn(body, hash);
    if (receipt?.code === 'accepted') {
      this.learnTime(receipt.server_time);
      return;
    }
    // A controller of protocol 1 signs none; its answer has this shape.
    const bad = violation(benchmarkAnswerSchema, body);
    const isOther = bad === undefined && (body as BenchmarkAnswer).node_id !== nodeId;
    if (bad || isOther || receipt || this.spoken > FIRST_PROTOCOL) {
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
  getConfig(
    nodeId: string,
    signingSeed: Uint8Array,
    etag: string | undefined,
    signal: AbortSignal,
  ): Promise<ConfigAnswer> {
    const target = `/v1/config/${nodeId}`;
    const headers = etag === undefined ? {} : { 'if-none-match': etag };
    const request = { target, tag: SIGNATURE_TAGS.config, signingSeed, headers, signal };
    return this.signed.call(request, async (response, received, sent) => {
      const text = await limitedText(response, received);
      const answer = { etag: response.headers.get('etag') ?? undefined, ...sent };
      return { ...answer, body: response.status === 304 ? undefined : parse(text) };
    });
  }

  /** What this node is at this moment: a lease, unverified. */
  getLease(nodeId: string, signingSeed: Uint8Array, signal: AbortSignal): Promise<SignedAnswer> {
    const request = {
      target: `/v1/lease/${nodeId}`,
      tag: SIGNATURE_TAGS.lease,
      signingSeed,
      signal,
    };
    return this.signed.call(request, async (response, received, sent) => ({
      ...sent,
      body: parse(await limitedText(response, received)),
    }));
  }

  /** What a member needs of the present epoch: unverified. `since`: version of the membership held. */
  getKeys(
    nodeId: string,
    signingSeed: Uint8Array,
    since: number | undefined,
    signal: AbortSignal,
  ): Promise<unknown> {
    const target = `/v1/keys/${nodeId}${since === undefined ? '' : `?since=${since}`}`;
    return this.signed.json({ target, tag: SIGNATURE_TAGS.keys, signingSeed, signal });
  }

  /** The bytes of a piece by its name (base64url), unverified; undefined: it is not kept. */
  getPiece(name: string, signal: AbortSignal): Promise<Uint8Array | undefined> {
    const init = { headers: { accept: 'application/octet-stream' } };
    return unlessCode('piece_unknown', () =>
      this.calls.timed(this.calls.url(`/v1/pieces/${name}`), init, signal, limitedBytes),
    );
  }

  /** The signed header of an epoch, by default the newest: unverified. Undefined: it is not kept. */
  getHeader(signingSeed: Uint8Array, epoch: number | undefined): Promise<unknown> {
    const target = epoch === undefined ? '/v1/header' : `/v1/header?epoch=${epoch}`;
    const request = { target, tag: SIGNATURE_TAGS.header, signingSeed };
    return unlessCode('header_unknown', () => this.signed.json(request));
  }

  /** What shows that the log of `size` leaves begins with that of `oldSize`: unverified. */
  getConsistency(signingSeed: Uint8Array, oldSize: number, size: number): Promise<unknown> {
    const target = `/log/consistency?old=${oldSize}&size=${size}`;
    return this.signed.json({ target, tag: SIGNATURE_TAGS.header, signingSeed });
  }

  /** A file of the log by its path below `/log/`: unverified. For members. Undefined: there is none. */
  getLogFile(signingSeed: Uint8Array, path: string): Promise<Uint8Array | undefined> {
    const tag = SIGNATURE_TAGS.epoch;
    const request = { target: `/log/${path}`, tag, signingSeed, headers: { accept: '*/*' } };
    return unlessCode('not_found', () => this.signed.call(request, limitedBytes));
  }

  /** Who is in, who is out, and why: unverified, for people to read. For members. */
  getEpoch(signingSeed: Uint8Array): Promise<EpochDocument> {
    const page = (target: string) =>
      this.signed.json({ target, tag: SIGNATURE_TAGS.epoch, signingSeed });
    return epochInPages((target) => page(target) as Promise<EpochDocument>);
  }

  /** Tells where members try to reach this node from the next epoch on, and what of it they are told. */
  async putEndpoint(
    nodeId: string,
    signingSeed: Uint8Array,
    where: Whereabouts,
    signal: AbortSignal,
  ): Promise<EndpointAnswer> {
    const target = `/v1/nodes/${nodeId}/endpoint${queryOf(where)}`;
    const tag = SIGNATURE_TAGS.endpoint;
    const body = await this.signed.json({ method: 'PUT', target, tag, signingSeed, signal });
    return ofController(endpointAnswerSchema, body) as EndpointAnswer;
  }

  /** Tells what this node has of others. Rejects unless a controller has taken it. */
  async putReach(nodeId: string, report: Envelope, signal: AbortSignal): Promise<void> {
    const answer = await this.send('PUT', `/v1/nodes/${nodeId}/reach`, report, signal);
    ofController(reachAnswerSchema, parse(answer));
  }

  /** Takes this node out of the mesh for good. Rejects unless a controller says that it is. */
  async leave(nodeId: string, signingSeed: Uint8Array): Promise<RotateAnswer> {
    const target = `/v1/nodes/${nodeId}/leave`;
    const tag = SIGNATURE_TAGS.leave;
    const body = await this.signed.json({ method: 'POST', target, tag, signingSeed });
    return ofController(rotateAnswerSchema, body) as RotateAnswer;
  }

  /** The body of the event stream; abort `signal` to end it. */
  async openStream(
    nodeId: string,
    signingSeed: Uint8Array,
    signal: AbortSignal,
  ): Promise<ReadableStream<Uint8Array>> {
    const target = `/v1/stream/${nodeId}`;
    const headers = { accept: 'text/event-stream' };
    const request = { target, tag: SIGNATURE_TAGS.stream, signingSeed, headers, signal };
    const response = await this.signed.call(request, (opened) => opened);
    const type = response.headers.get('content-type') ?? '';
    if (!response.body || !type.startsWith('text/event-stream')) {
      await response.body?.cancel();
      throw new CallError(response.status, 'unexpected_answer', 'this is not an event stream');
    }
    return response.body;
  }

  private post(target: string, body: object, until?: AbortSignal): Promise<string> {
    return this.send('POST', target, body, until);
  }

  private send(
    method: 'POST' | 'PUT',
    target: string,
    body: object,
    until = new AbortController().signal,
  ): Promise<string> {
    const init = {
      method,
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify(body),
    };
    return this.calls.timed(this.calls.url(target), init, until, limitedText);
  }

  private withReceipt(error: CallError, request: Uint8Array): CallError {
    const receipt = this.signed.receiptIn(error.answer, request);
    if (receipt === undefined) return error;
    return new CallError(error.status, receipt.code, error.message, { receipt });
  }
}

/** What `call` gives; undefined where it is answered with that code. */
async function unlessCode<T>(code: string, call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof CallError && error.code === code) return undefined;
    throw error;
  }
}

/** An answer that says nothing but that it was done, if it is a controller's. */
function ofController(schema: Schema, body: unknown): unknown {
  if (!violation(schema, body)) return body;
  throw new CallError(0, 'unexpected_answer', 'a success without the answer of a controller');
}

function queryOf(where: Whereabouts): string {
  if (where === null) return '';
  if (typeof where === 'string') return `?endpoint=${encodeURIComponent(where)}`;
  const { candidates, seenPort } = where;
  const list =
    candidates.length === 0 ? '' : `candidates=${encodeURIComponent(candidates.join())}&`;
  return `?${list}seen_port=${seenPort}`;
}
