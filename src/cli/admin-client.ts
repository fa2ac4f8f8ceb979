import { existsSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { controllerFetch, responseOf } from '../agent/controller-fetch.ts';
import type { Problem } from '../contract/problems.ts';
import { defaultProvider } from '../crypto/select.ts';
import { readContext } from './contexts.ts';
import { CommandError, EXIT } from './exit-codes.ts';

/** Where the controller is asked. */
export interface AdminTarget {
  /** Its admin socket. */
  readonly socket: string;
  /** Name of a mesh in the contexts file, which is asked over the network instead. */
  readonly context?: string | undefined;
}

export interface AdminCall {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly body?: object | undefined;
  readonly signal: AbortSignal;
}

const TIMEOUT_MS = 10_000;

/** Whether there is a controller to ask: one that a context names, or one on this machine. */
export function hasController({ context, socket }: AdminTarget): boolean {
  return context !== undefined || existsSync(socket);
}

/** One admin call. Rejects with a `CommandError` that says what to do. */
export async function adminCall<T>(
  target: AdminTarget,
  method: AdminCall['method'],
  path: string,
  body?: object,
): Promise<T> {
  const text = await textOf(target, method, path, body);
  return (text === '' ? undefined : JSON.parse(text)) as T;
}

/** What a GET answers, as it is. Rejects with a `CommandError`. */
export function adminText(target: AdminTarget, path: string): Promise<string> {
  return textOf(target, 'GET', path);
}

async function textOf(
  target: AdminTarget,
  method: AdminCall['method'],
  path: string,
  body?: object,
): Promise<string> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const answer = await adminAnswer(target, { method, path, body, signal });
  const text = await answer.text();
  if (!answer.ok) throw refusal(answer.status, text);
  return text;
}

/**
 * Reads an answer of lines as they come, until it is whole or `signal` is aborted. Rejects with a
 * `CommandError` if the controller cannot be asked, refuses, or stops meanwhile.
 */
export async function adminLines(
  target: AdminTarget,
  path: string,
  onLine: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  let begun = false;
  try {
    const answer = await adminAnswer(target, { method: 'GET', path, signal });
    if (!answer.ok) throw refusal(answer.status, await answer.text());
    begun = true;
    let rest = '';
    for await (const text of answer.body!.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split('\n');
      rest = lines.pop()!;
      for (const line of lines) onLine(line);
    }
  } catch (error) {
    if (signal.aborted) return;
    if (!begun || error instanceof CommandError) throw error;
    throw new CommandError(EXIT.unreachable, 'unreachable', 'the controller has stopped');
  }
}

/** The answer to a call, whatever it is. Rejects with a `CommandError` if there is none. */
export function adminAnswer(target: AdminTarget, call: AdminCall): Promise<Response> {
  return target.context === undefined
    ? overSocket(target.socket, call)
    : overNetwork(target.context, call);
}

async function overNetwork(
  name: string,
  { method, path, body, signal }: AdminCall,
): Promise<Response> {
  const { url, token, meshId, identity } = readContext(name);
  const bearer = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const headers = { ...bearer, ...contentType(body) };
  const init = { method, headers, signal, ...(body && { body: JSON.stringify(body) }) };
  try {
    return await controllerFetch(defaultProvider(), identity)(
      new URL(path, url).href,
      init,
      meshId,
    );
  } catch (error) {
    const message = `${url} (context ${name}): ${troubleOf(error)}`;
    throw new CommandError(EXIT.unreachable, 'unreachable', message);
  }
}

function troubleOf(error: unknown): string {
  const { name, message, cause } = error as Error & { cause?: Error };
  return name === 'TimeoutError' ? 'no answer in time' : (cause?.message ?? message);
}

function overSocket(socketPath: string, call: AdminCall): Promise<Response> {
  const { method, path, body, signal } = call;
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ socketPath, method, path, headers: contentType(body), signal });
    sent.on('error', (error: NodeJS.ErrnoException) => {
      reject(new CommandError(EXIT.unreachable, 'unreachable', socketTrouble(socketPath, error)));
    });
    sent.on('response', (message) => resolve(responseOf(message)));
    sent.end(body && JSON.stringify(body));
  });
}

function contentType(body: object | undefined): Record<string, string> {
  return body === undefined ? {} : { 'content-type': 'application/json' };
}

function socketTrouble(path: string, error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'ENOENT':
      return `${path}: no such socket. Is the controller running? Name another with --socket`;
    case 'ECONNREFUSED':
      return `${path}: nobody listens. The controller is not running`;
    case 'EACCES':
      return `${path}: not allowed. Run this as the user the controller runs as`;
    case 'ABORT_ERR':
      return `${path}: no answer in time`;
    default:
      return `${path}: ${error.message}`;
  }
}

function refusal(status: number, text: string): CommandError {
  try {
    const { code, title, detail, field, expected } = JSON.parse(text) as Partial<Problem>;
    if (typeof code === 'string' && typeof title === 'string') {
      const where = field === undefined ? '' : `${field}: `;
      const wanted = expected === undefined ? '' : ` (${where}expected ${expected})`;
      const more = detail === undefined ? '' : `: ${detail}`;
      return new CommandError(EXIT.refused, code, `${title}${more}${wanted}`);
    }
  } catch {
    // not a problem document: fall through
  }
  return new CommandError(EXIT.refused, 'unexpected_answer', `the controller answered ${status}`);
}
