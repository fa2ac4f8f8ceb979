import type { AccessAnswer, AccessList, Role } from '../contract/access.ts';
import { adminCall } from './admin-client.ts';
import { type AdminOptions, print } from './answer.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { table } from './table.ts';

/** `meshnet access create NAME`. */
export async function createAccess(
  name: string,
  options: AdminOptions & { readonly role: Role; readonly ttl?: number },
): Promise<void> {
  const body = { name, role: options.role, ttl_s: options.ttl ?? null };
  const answer = await adminCall<AccessAnswer>(options, 'POST', '/v1/access', body);
  print(options, answer, answer.token);
}

/** `meshnet access list`. */
export async function listAccess(options: AdminOptions): Promise<void> {
  const answer = await adminCall<AccessList>(options, 'GET', '/v1/access');
  const rows = answer.tokens.map(({ name, role, expires_at, id }) => [
    name,
    role,
    expires_at === null ? 'never' : new Date(expires_at).toISOString(),
    id,
  ]);
  print(options, answer, table([['NAME', 'ROLE', 'EXPIRES', 'ID'], ...rows]));
}

/** `meshnet access revoke NAME`. */
export async function revokeAccess(name: string, options: AdminOptions): Promise<void> {
  const { tokens } = await adminCall<AccessList>(options, 'GET', '/v1/access');
  const found = tokens.find((token) => token.name === name);
  if (found === undefined) {
    throw new CommandError(EXIT.refused, 'not_found', `there is no access token ${name}`);
  }
  await adminCall(options, 'DELETE', `/v1/access/${found.id}`);
  print(options, { name, id: found.id }, `the access token ${name} opens nothing any more`);
}
