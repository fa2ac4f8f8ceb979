import type { TokenAnswer, TokenList, TokenRequest } from '../contract/admin.ts';
import { isNodeId } from '../contract/ids.ts';
import { adminCall } from './admin-client.ts';
import { type AdminOptions, print } from './answer.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { duration, table } from './table.ts';

/** `meshnet token create`. */
export async function createToken(
  options: AdminOptions & {
    readonly node?: string;
    readonly names?: string;
    readonly group?: string;
    readonly uses: number | 'any';
    readonly ephemeral?: number;
    readonly ttl: number;
  },
): Promise<void> {
  const answer = await newToken(options, {
    node_id: options.node ?? null,
    ttl_s: options.ttl,
    names: options.names ?? null,
    group: options.group ?? null,
    uses: options.uses === 'any' ? null : options.uses,
    silence_s: options.ephemeral ?? null,
  });
  print(options, answer, answer.token);
}

/** `meshnet token list`. */
export async function listTokens(options: AdminOptions): Promise<void> {
  const answer = await adminCall<TokenList>(options, 'GET', '/v1/tokens');
  const rows = answer.tokens.map((token) => [
    token.id,
    scopeOf(token),
    token.uses === null ? 'any' : String(token.uses),
    token.silence_s === null ? '-' : duration(token.silence_s),
    new Date(token.expires_at).toISOString(),
  ]);
  print(options, answer, table([['ID', 'FOR', 'USES', 'EPHEMERAL', 'EXPIRES'], ...rows]));
}

function scopeOf({ node_id, names, group }: TokenList['tokens'][number]): string {
  const limits = [node_id, names, group === null ? null : `group ${group}`];
  return limits.filter((one) => one !== null).join(', ') || 'any node';
}

/** `meshnet node add NAME`: a token for that name, and how to use it. */
export async function addNode(
  nodeId: string,
  options: AdminOptions & { readonly ttl: number },
): Promise<void> {
  if (!isNodeId(nodeId)) {
    const message = `${nodeId}: a node name is 1 to 63 of a-z, 0-9 and hyphen`;
    throw new CommandError(EXIT.usage, 'usage', message);
  }
  const answer = await newToken(options, { node_id: nodeId, ttl_s: options.ttl });
  const lines = [
    `On the machine that is to be ${nodeId}, within ${duration(options.ttl)}:`,
    '',
    `  MESHNET_TOKEN=${answer.token} meshnet node --name ${nodeId} --controller URL`,
  ];
  print(options, answer, lines.join('\n'));
}

function newToken(options: AdminOptions, request: TokenRequest): Promise<TokenAnswer> {
  return adminCall<TokenAnswer>(options, 'POST', '/v1/tokens', request);
}
