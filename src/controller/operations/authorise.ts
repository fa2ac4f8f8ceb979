import {
  accessHash,
  CERTIFICATE,
  isAtLeast,
  parseAccessToken,
  type Role,
} from '../../contract/access.ts';
import { equalBytes } from '../../contract/encoding.ts';
import { accepted, type Checked, rejected } from '../../contract/problems.ts';
import type { Services } from '../services.ts';
import type { AccessTokenRecord } from '../store/store.ts';
import { settle, withinBudget } from './accounting.ts';
import type { Caller, ClientCertificate, HolderCaller, NetworkCaller } from './caller.ts';
import { oncePerRequest } from './once.ts';

/** Who asks for something that needs a role. */
export interface Actor {
  /** See `actorField`; null: whoever could open the admin socket. */
  readonly by: string | null;
  readonly role: Role;
  /** Controller's clock, ms; null: until it is revoked. */
  readonly until: number | null;
  /** Name of the client certificate that it is known by. */
  readonly certificate?: string;
}

const holders = oncePerRequest<Promise<Checked<Actor>>>();

const BEARER = /^bearer +([\w.-]+) *$/i;

/** For what needs a role: the admin socket has every one, an access token or client certificate its own. */
export async function atLeast(
  services: Services,
  caller: Caller,
  needed: Role,
): Promise<Checked<Actor>> {
  const expected = `an access token with the role ${needed}, such a client certificate, or the admin socket`;
  if (caller.kind === 'admin') return accepted({ by: null, role: 'admin', until: null });
  if (caller.kind === 'monitor' || (caller.kind === 'network' && !showsWhoItIs(caller))) {
    return rejected('not_authorized', { expected });
  }
  const holder = await (caller.kind === 'holder'
    ? holderNow(services, caller.tokenId)
    : holders(caller.request, 'holder', () => holderOf(services, caller)));
  if (!holder.ok || isAtLeast(holder.value.role, needed)) return holder;
  return rejected('not_authorized', { expected });
}

/** Whether the caller says by an access token or a client certificate who it is. */
export function showsWhoItIs({ request, certificate }: NetworkCaller): boolean {
  return request.headers.authorization !== undefined || certificate !== undefined;
}

/** Of the token that came with a request, or else of the certificate that its connection has. */
async function holderOf(services: Services, caller: NetworkCaller): Promise<Checked<Actor>> {
  const { certificate, request } = caller;
  const { from } = request.arrival;
  if (request.headers.authorization === undefined && certificate !== undefined) {
    const budget = withinBudget(services, { from });
    return budget.ok ? settle(services, { from }, certified(services, certificate)) : budget;
  }
  // A secret is believed over a private way only.
  if (!caller.isPrivate) {
    const detail = 'Whoever listened on the way has it now: revoke it.';
    return rejected('tls_required', { detail, expected: 'TLS, or a caller on this machine' });
  }
  const budget = withinBudget(services, { from });
  if (!budget.ok) return budget;
  const shown = BEARER.exec(String(request.headers.authorization))?.[1] ?? '';
  return settle(services, { from }, await actorOf(services, shown));
}

/** The holder of a client certificate that is valid and has a role, unless it makes too many calls. */
function certified(services: Services, shown: ClientCertificate): Checked<Actor> {
  const { clock, monotonic, accessCalls, certificateRole } = services;
  const expected =
    'a client certificate that is valid, of the authority of clients, and has a role';
  const refused = (detail: string) => rejected('not_authorized', { detail, expected });
  if ('fault' in shown) return refused(`The client certificate: ${shown.fault}.`);
  const { name, until } = shown;
  if (until <= clock.now()) return refused('The client certificate has expired.');
  const role = certificateRole(name);
  if (role === undefined) return refused(`The client certificate ${name} has no role.`);
  const by = `${CERTIFICATE}${name}`;
  const now = monotonic();
  if (!accessCalls.has(by, now)) {
    return rejected('too_many_requests', { detail: 'Too many calls with this certificate.' });
  }
  accessCalls.take(by, now);
  return accepted({ by, role, until, certificate: name });
}

/** The holder of an access token, unless it makes too many calls. */
export async function actorOf(services: Services, text: string): Promise<Checked<Actor>> {
  const { store, crypto } = services;
  const shown = parseAccessToken(text);
  if (shown === undefined) return refused();
  const token = await store.accessToken(shown.id);
  const hash = accessHash(crypto, shown.secret);
  if (token === undefined || !equalBytes(hash, token.hash)) return refused();
  return callOf(services, token);
}

/** Lets somebody sign in with an access token. `from`: the address that pays for one that is none. */
export async function signIn(
  services: Services,
  text: string,
  from: string,
): Promise<Checked<HolderCaller>> {
  const budget = withinBudget(services, { from });
  if (!budget.ok) return budget;
  const actor = settle(services, { from }, await actorOf(services, text));
  if (!actor.ok) return actor;
  return accepted({ kind: 'holder', tokenId: parseAccessToken(text)!.id });
}

/** The holder of the access token `id`, by which somebody signed in before. */
async function holderNow(services: Services, id: string): Promise<Checked<Actor>> {
  const token = await services.store.accessToken(id);
  return token === undefined ? refused() : callOf(services, token);
}

function refused() {
  const expected = 'an access token of this mesh that was not revoked and has not expired';
  return rejected('access_token_invalid', { field: 'authorization', expected });
}

/** A call with a token whose secret was shown. */
function callOf(
  { clock, monotonic, accessCalls }: Services,
  token: AccessTokenRecord,
): Checked<Actor> {
  if (token.expiresAt !== null && token.expiresAt <= clock.now()) return refused();
  const now = monotonic();
  if (!accessCalls.has(token.id, now)) {
    return rejected('too_many_requests', { detail: 'Too many calls with this access token.' });
  }
  accessCalls.take(token.id, now);
  return accepted({ by: token.name, role: token.role, until: token.expiresAt });
}
