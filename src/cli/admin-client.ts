import { request as httpRequest } from 'node:http';
import type { Problem } from '../contract/problems.ts';
import { CommandError, EXIT } from './exit-codes.ts';

/** Where the controller is asked: its admin socket. */
export interface AdminTarget {
  readonly socket: string;
}

const TIMEOUT_MS = 10_000;

/** One admin call. Rejects with a `CommandError` that says what to do. */
export async function adminCall<T>(
  target: AdminTarget,
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  path: string,
  body?: object,
): Promise<T> {
  const text = textOf(await overSocket(target.socket, method, path, body));
  return (text === '' ? undefined : JSON.parse(text)) as T;
}

/** What a GET answers, as it is. Rejects with a `CommandError`. */
export async function adminText(target: AdminTarget, path: string): Promise<string> {
  return textOf(await overSocket(target.socket, 'GET', path, undefined));
}

function textOf({ status, text }: Answer): string {
  if (status >= 200 && status < 300) return text;
  throw refusal(status, text);
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

/**
 * Reads an answer of lines as they come, until it is whole or `signal` is aborted. Rejects with a
 * `CommandError` if the controller cannot be asked, refuses, or stops meanwhile.
 */
export function adminLines(
  { socket: socketPath }: AdminTarget,
  path: string,
  onLine: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const call = httpRequest({ socketPath, path, signal });
    const failed = (error: NodeJS.ErrnoException) => {
      if (signal.aborted) return resolve();
      reject(new CommandError(EXIT.unreachable, 'unreachable', socketTrouble(socketPath, error)));
    };
    call.on('error', failed);
    call.on('response', (response) => {
      const { statusCode = 0 } = response;
      let rest = '';
      response.setEncoding('utf8');
      response.on('data', (text: string) => {
        const lines = (rest + text).split('\n');
        rest = lines.pop()!;
        if (statusCode === 200) for (const line of lines) onLine(line);
      });
      response.on('error', () => (signal.aborted ? resolve() : reject(stopped())));
      response.on('end', () =>
        statusCode === 200 ? resolve() : reject(refusal(statusCode, rest)),
      );
    });
    call.end();
  });
}

function overSocket(
  socketPath: string,
  method: string,
  path: string,
  body: object | undefined,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers = text === undefined ? {} : { 'content-type': 'application/json' };
    const call = httpRequest({ socketPath, method, path, headers, timeout: TIMEOUT_MS });
    call.on('timeout', () => call.destroy(new Error('no answer in time')));
    call.on('error', (error: NodeJS.ErrnoException) => {
      reject(new CommandError(EXIT.unreachable, 'unreachable', socketTrouble(socketPath, error)));
    });
    call.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') });
      });
      response.on('error', reject);
    });
    call.end(text);
  });
}

function stopped(): CommandError {
  return new CommandError(EXIT.unreachable, 'unreachable', 'the controller has stopped');
}

function socketTrouble(path: string, error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'ENOENT':
      return `${path}: no such socket. Is the controller running? Name another with --socket`;
    case 'ECONNREFUSED':
      return `${path}: nobody listens. The controller is not running`;
    case 'EACCES':
      return `${path}: not allowed. Run this as the user the controller runs as`;
    default:
      return `${path}: ${error.message}`;
  }
}

function refusal(status: number, text: string): CommandError {
  try {
    const { code, title, detail, field, expected } = JSON.parse(text) as Partial<Problem>;
    if (typeof code === 'string' && typeof title === 'string') {
      const where = field === undefined ? '' : ` (${field}: expected ${expected})`;
      const more = detail === undefined ? '' : `: ${detail}`;
      return new CommandError(EXIT.refused, code, `${title}${more}${where}`);
    }
  } catch {
    // not a problem document: fall through
  }
  return new CommandError(EXIT.refused, 'unexpected_answer', `the controller answered ${status}`);
}
