import type { TokenAnswer, TokenList } from '../contract/admin.ts';
import { isNodeId } from '../contract/ids.ts';
import { adminCall } from './admin-client.ts';
import { type AdminOptions, print } from './answer.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { duration, table } from './table.ts';

/** `meshnet token create`. */
export async function createToken(
  options: AdminOptions & { readonly node?: string; readonly ttl: number },
): Promise<void> {
  const answer = await newToken(options, options.node ?? null, options.ttl);
  print(options, answer, answer.token);
}

/** `meshnet token list`. */
export async function listTokens(options: AdminOptions): Promise<void> {
  const answer = await adminCall<TokenList>(options, 'GET', '/v1/tokens');
  const rows = answer.tokens.map((token) => [
    token.id,
    token.node_id ?? 'any node',
    new Date(token.expires_at).toISOString(),
  ]);
  print(options, answer, table([['ID', 'FOR', 'EXPIRES'], ...rows]));
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
  const answer = await newToken(options, nodeId, options.ttl);
  const lines = [
    `On the machine that is to be ${nodeId}, within ${duration(options.ttl)}:`,
    '',
    `  MESHNET_TOKEN=${answer.token} meshnet node --name ${nodeId} --controller URL`,
  ];
  print(options, answer, lines.join('\n'));
}

function newToken(
  options: AdminOptions,
  node_id: string | null,
  ttl_s: number,
): Promise<TokenAnswer> {
  return adminCall<TokenAnswer>(options, 'POST', '/v1/tokens', { node_id, ttl_s });
}
