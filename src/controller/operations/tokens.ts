import type { TokenAnswer, TokenList, TokenRequest } from '../../contract/admin.ts';
import { createJoinToken, formatJoinToken } from '../../contract/join-token.ts';
import { accepted, type Checked, rejected } from '../../contract/problems.ts';
import type { Services } from '../services.ts';
import { adminOnly, type Caller } from './caller.ts';

/** Expired tokens are still told apart from unknown ones for this long, ms. */
const REMEMBER_EXPIRED = 24 * 3600 * 1000;

/** Creates a join token. The only time that its secret leaves the controller. */
export async function issueToken(
  { store, random, meshId, clock, emit }: Services,
  caller: Caller,
  { node_id, ttl_s }: TokenRequest,
): Promise<Checked<TokenAnswer>> {
  const allowed = adminOnly(caller);
  if (!allowed.ok) return allowed;
  const token = createJoinToken(random, meshId);
  const now = clock.now();
  const expiresAt = now + ttl_s * 1000;
  const { id, secret } = token;
  const record = { id, secret, nodeId: node_id, expiresAt, usedBy: null };
  await store.addToken(record, now - REMEMBER_EXPIRED);
  const text = formatJoinToken(token);
  secret.fill(0);
  emit({ event: 'token_issued', token: id, node: node_id, expires_at: expiresAt });
  return accepted({ token: text, id, node_id, expires_at: expiresAt });
}

/** Tokens that can still be used. */
export async function listTokens(
  { store, clock }: Services,
  caller: Caller,
): Promise<Checked<TokenList>> {
  const allowed = adminOnly(caller);
  if (!allowed.ok) return allowed;
  const tokens = await store.openTokens(clock.now());
  return accepted({
    tokens: tokens.map(({ id, nodeId, expiresAt }) => ({
      id,
      node_id: nodeId,
      expires_at: expiresAt,
    })),
  });
}

/** Makes a token that was not used useless. */
export async function withdrawToken(
  { store, emit }: Services,
  caller: Caller,
  id: string,
): Promise<Checked<null>> {
  const allowed = adminOnly(caller);
  if (!allowed.ok) return allowed;
  if (!(await store.deleteToken(id))) return rejected('not_found');
  emit({ event: 'token_deleted', token: id });
  return accepted(null);
}
