import { printable } from '../contract/printable.ts';
import { PROTOCOL, PROTOCOL_HEADER } from '../contract/protocol.ts';
import type { Receipt } from '../contract/receipt.ts';

const MAX_ANSWER_BYTES = 16_000_000;

/** Why a call failed: no answer, or an answer that is a problem document. */
export class CallError extends Error {
  /** HTTP status; 0 without an answer. */
  readonly status: number;
  /** Problem code, or `unreachable`, `timeout`, `unexpected_answer`. */
  readonly code: string;
  /** What came, unverified; undefined if it was not JSON. Only a receipt in it may be relied on. */
  readonly answer: unknown;
  /** What the controller signed about the request, verified. */
  readonly receipt: Receipt | undefined;

  constructor(
    status: number,
    code: string,
    message: string,
    { answer, receipt }: { readonly answer?: unknown; readonly receipt?: Receipt } = {},
  ) {
    super(message);
    this.name = 'CallError';
    this.status = status;
    this.code = code;
    this.answer = answer;
    this.receipt = receipt;
  }
}

/** Throws a `CallError` if it is not JSON. */
export function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new CallError(0, 'unexpected_answer', 'the answer is not JSON');
  }
}

/** The body's text. A connection that breaks here counts as unreachable. */
export async function limitedText(
  response: Response,
  received: (bytes: number) => void = () => {},
): Promise<string> {
  return Buffer.from(await limitedBytes(response, received)).toString('utf8');
}

/** The same as bytes. */
export async function limitedBytes(
  response: Response,
  received: (bytes: number) => void = () => {},
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of response.body ?? []) {
      size += chunk.length;
      received(chunk.length);
      if (size > MAX_ANSWER_BYTES) break; // leaving the loop cancels the body
      chunks.push(chunk);
    }
  } catch (error) {
    throw new CallError(0, 'unreachable', `the answer broke off: ${reason(error)}`);
  }
  if (size > MAX_ANSWER_BYTES) {
    throw new CallError(response.status, 'unexpected_answer', 'the answer is too large');
  }
  return Buffer.concat(chunks);
}

const NO_TIME = 'it does not sign its time: upgrade the controller first, or set the clock here';
const NO_SEQUENCE = 'it does not sign the last sequence: upgrade the controller first';

/** What a controller of protocol 1, which names no number, cannot do for this node, by its refusals. */
const OLDER_LACKS: Readonly<Record<string, string>> = {
  not_found: 'it does not know this call: upgrade it first',
  signature_expired: NO_TIME,
  observed_in_future: NO_TIME,
  sequence_replayed: NO_SEQUENCE,
  sequence_too_far: NO_SEQUENCE,
};

/** What a refusal says. */
export async function problemOf(response: Response): Promise<CallError> {
  const fallback = `the controller answered ${response.status}`;
  try {
    const value = JSON.parse(await limitedText(response)) as Record<string, unknown>;
    const isCode = typeof value.code === 'string' && /^[a-z_]{1,64}$/.test(value.code);
    const code = isCode ? (value.code as string) : 'unexpected_answer';
    const { title, detail, expected } = value;
    // What was expected says what is wrong where nothing else does, e.g. the authority behind a proxy.
    const more = detail ?? (typeof expected === 'string' ? `expected ${expected}` : undefined);
    const text = [title, more].filter((part) => typeof part === 'string').join(': ');
    const lacks = response.headers.has(PROTOCOL_HEADER) ? undefined : OLDER_LACKS[code];
    const older = lacks && ` (the controller speaks protocol 1, this node ${PROTOCOL}: ${lacks})`;
    const message = (printable(text.slice(0, 500)) || fallback) + (older ?? '');
    return new CallError(response.status, code, message, { answer: value });
  } catch {
    return new CallError(response.status, 'unexpected_answer', fallback);
  }
}

/** Why a connection failed, in a word. */
export function reason(error: unknown): string {
  const cause = (error as { cause?: { code?: unknown } }).cause?.code;
  if (typeof cause === 'string') return cause;
  return error instanceof Error ? error.message : 'unknown error';
}
