import type { TokenAnswer, TokenList, TokenRequest } from '../../contract/admin.ts';
import { createJoinToken, formatJoinToken } from '../../contract/join-token.ts';
import { accepted, type Checked, rejected } from '../../contract/problems.ts';
import type { Services } from '../services.ts';
import type { TokenRecord } from '../store/store.ts';
import { atLeast } from './authorise.ts';
import type { Caller } from './caller.ts';
import { NEEDED } from './needed-roles.ts';
import { noteAsked } from './note-asked.ts';

/** Expired tokens are still told apart from unknown ones for this long, ms. */
const REMEMBER_EXPIRED = 24 * 3600 * 1000;

/** Creates a join token. The only time that its secret leaves the controller. */
export async function issueToken(
  services: Services,
  caller: Caller,
  request: TokenRequest,
): Promise<Checked<TokenAnswer>> {
  const actor = await atLeast(services, caller, NEEDED.issueToken);
  if (!actor.ok) return actor;
  const { store, random, meshId, clock, settings, emit } = services;
  const { node_id, ttl_s, names = null, group = null, uses = 1, silence_s = null } = request;
  if (group !== null && !settings.policy.groups.some((one) => one.name === group)) {
    return rejected('invalid_field', { field: 'group', expected: 'a group of the policy' });
  }
  const token = createJoinToken(random, meshId);
  const now = clock.now();
  const expiresAt = now + ttl_s * 1000;
  const { id, secret } = token;
  const record: TokenRecord = {
    id,
    secret,
    nodeId: node_id,
    expiresAt,
    usesLeft: uses,
    ...(names === null ? {} : { names }),
    ...(group === null ? {} : { group }),
    ...(silence_s === null ? {} : { silenceS: silence_s }),
  };
  await noteAsked(services, actor.value, 'issue_token', id);
  await store.addToken(record, now - REMEMBER_EXPIRED);
  const text = formatJoinToken(token);
  secret.fill(0);
  emit({ event: 'token_issued', token: id, node: node_id, expires_at: expiresAt });
  return accepted({ token: text, ...listed(record) });
}

/** Tokens that can still be used. */
export async function listTokens(services: Services, caller: Caller): Promise<Checked<TokenList>> {
  const actor = await atLeast(services, caller, NEEDED.listTokens);
  if (!actor.ok) return actor;
  const { store, clock } = services;
  const tokens = await store.openTokens(clock.now());
  return accepted({ tokens: tokens.map(listed) });
}

/** Makes a token useless that could still be used; who came with it stays. */
export async function withdrawToken(
  services: Services,
  caller: Caller,
  id: string,
): Promise<Checked<null>> {
  const actor = await atLeast(services, caller, NEEDED.withdrawToken);
  if (!actor.ok) return actor;
  const { store, emit } = services;
  const token = await store.token(id);
  if (token === undefined || token.usesLeft === 0) return rejected('not_found');
  await noteAsked(services, actor.value, 'withdraw_token', id);
  if (!(await store.deleteToken(id))) return rejected('not_found');
  emit({ event: 'token_deleted', token: id });
  return accepted(null);
}

function listed(token: Omit<TokenRecord, 'secret'>): Omit<TokenAnswer, 'token'> {
  const { id, nodeId, expiresAt, usesLeft, names = null, group = null, silenceS = null } = token;
  const scope = { names, group, uses: usesLeft, silence_s: silenceS };
  return { id, node_id: nodeId, expires_at: expiresAt, ...scope };
}
