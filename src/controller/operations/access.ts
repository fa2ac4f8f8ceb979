import {
  type AccessAnswer,
  type AccessList,
  type AccessRequest,
  type AccessSelf,
  accessHash,
  createAccessToken,
  formatAccessToken,
} from '../../contract/access.ts';
import { accepted, type Checked, rejected } from '../../contract/problems.ts';
import type { Services } from '../services.ts';
import type { AccessTokenRecord } from '../store/store.ts';
import { atLeast } from './authorise.ts';
import type { Caller } from './caller.ts';
import { NEEDED } from './needed-roles.ts';
import { noteAsked } from './note-asked.ts';

/** More are nobody's to keep an eye on. */
const MAX_TOKENS = 1000;

/** Makes an access token. The only time that its secret leaves the controller. */
export async function issueAccess(
  services: Services,
  caller: Caller,
  { name, role, ttl_s }: AccessRequest,
): Promise<Checked<AccessAnswer>> {
  const actor = await atLeast(services, caller, NEEDED.issueAccess);
  if (!actor.ok) return actor;
  const { store, random, meshId, clock, crypto } = services;
  const now = clock.now();
  const present = await store.accessTokens(now);
  const taken = { field: 'name', expected: 'a name that no access token has' };
  if (present.some((one) => one.name === name)) return rejected('name_in_use', taken);
  if (present.length >= MAX_TOKENS) {
    return rejected('overloaded', {
      detail: `There are ${MAX_TOKENS} access tokens: revoke some.`,
    });
  }
  const token = createAccessToken(random, meshId);
  const hash = accessHash(crypto, token.secret);
  const expiresAt = ttl_s === null ? null : now + ttl_s * 1000;
  const record = { id: token.id, name, role, hash, createdAt: now, expiresAt };
  await noteAsked(services, actor.value, `grant_${role}`, name);
  if (!(await store.addAccessToken(record))) return rejected('name_in_use', taken);
  const text = formatAccessToken(token);
  token.secret.fill(0);
  return accepted({ token: text, ...listed(record) });
}

/** Who has access, and of which kind. */
export async function listAccess(services: Services, caller: Caller): Promise<Checked<AccessList>> {
  const actor = await atLeast(services, caller, NEEDED.listAccess);
  if (!actor.ok) return actor;
  const { store, clock } = services;
  return accepted({ tokens: (await store.accessTokens(clock.now())).map(listed) });
}

/** Ends what a token gives access to, at once. */
export async function revokeAccess(
  services: Services,
  caller: Caller,
  id: string,
): Promise<Checked<null>> {
  const actor = await atLeast(services, caller, NEEDED.revokeAccess);
  if (!actor.ok) return actor;
  const { store } = services;
  const token = await store.accessToken(id);
  if (token === undefined) return rejected('not_found');
  await noteAsked(services, actor.value, 'revoke', token.name);
  return (await store.deleteAccessToken(id)) ? accepted(null) : rejected('not_found');
}

/** Who the caller is taken for. */
export async function whoIsIt(services: Services, caller: Caller): Promise<Checked<AccessSelf>> {
  const actor = await atLeast(services, caller, NEEDED.whoIsIt);
  return actor.ok ? accepted({ name: actor.value.by, role: actor.value.role }) : actor;
}

function listed({ id, name, role, createdAt, expiresAt }: AccessTokenRecord) {
  return { id, name, role, created_at: createdAt, expires_at: expiresAt };
}
