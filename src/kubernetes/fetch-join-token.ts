import { isNodeId } from '../contract/ids.ts';
import { parseJoinToken } from '../contract/join-token.ts';
import { JOIN_TOKEN_PATH, type JoinTokenAnswer } from './join-token-server.ts';

/** No join token is to be had; `mayPass` if it is worth another try. */
export class JoinTokenError extends Error {
  override readonly name = 'JoinTokenError';
  readonly mayPass: boolean;

  constructor(message: string, mayPass: boolean) {
    super(message);
    this.mayPass = mayPass;
  }
}

/** Shows `identity`, a service account's token, at `url`. Rejects with a `JoinTokenError`. */
export async function fetchJoinToken(
  url: string,
  identity: string,
  timeoutMs: number,
): Promise<JoinTokenAnswer> {
  let response: Response;
  let body: unknown;
  try {
    response = await fetch(new URL(JOIN_TOKEN_PATH, url), {
      method: 'POST',
      headers: { authorization: `Bearer ${identity}` },
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    });
    body = await response.json().catch(() => undefined);
  } catch (error) {
    const { message, cause } = error as Error;
    const why = cause instanceof Error ? cause.message : message;
    throw new JoinTokenError(`${url}: ${why}`, true);
  }
  if (response.status !== 200) {
    const { title } = (body ?? {}) as { title?: unknown };
    const why = typeof title === 'string' ? title : 'not an answer of `meshnet token kubernetes`';
    throw new JoinTokenError(`${url}: ${response.status}, ${why}`, response.status >= 500);
  }
  if (!isAnswer(body)) {
    throw new JoinTokenError(`${url}: expected {node_id, token}, got something else`, false);
  }
  return body;
}

function isAnswer(body: unknown): body is JoinTokenAnswer {
  const { node_id, token } = (body ?? {}) as { node_id?: unknown; token?: unknown };
  if (!isNodeId(node_id)) return false;
  return token === null || (typeof token === 'string' && parseJoinToken(token) !== undefined);
}
