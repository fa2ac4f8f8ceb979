import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TokenAnswer, TokenList } from '../contract/admin.ts';
import { isNodeId } from '../contract/ids.ts';
import { parseJoinToken } from '../contract/join-token.ts';
import { ensurePrivateDirectory } from '../ground/directory.ts';
import { replaceFileSync } from '../ground/files.ts';
import { adminCall } from './admin-client.ts';
import { type AdminOptions, print } from './answer.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { epochFromSocket } from './read-epoch.ts';

export interface TokenFolderOptions extends AdminOptions {
  readonly into: string;
  readonly ttl: number;
}

/**
 * `meshnet token write`: for each of the nodes that is not enrolled a file of that name with a join
 * token in it, so that machines which are set up together enrol without a person. A token that can
 * still be used stays; so this may run at every start.
 */
export async function writeTokens(
  nodes: readonly string[],
  options: TokenFolderOptions,
): Promise<void> {
  for (const node of nodes) {
    if (isNodeId(node)) continue;
    const message = `${node}: a node name is 1 to 63 of a-z, 0-9 and hyphen`;
    throw new CommandError(EXIT.usage, 'usage', message);
  }
  ensurePrivateDirectory(options.into);
  const epoch = await epochFromSocket(options);
  const { tokens } = await adminCall<TokenList>(options, 'GET', '/v1/tokens');
  const enrolled = new Set(epoch.nodes.map(({ node_id }) => node_id));
  const usable = new Map(tokens.map(({ id, node_id }) => [id, node_id]));
  const written: string[] = [];
  for (const node of nodes) {
    const file = join(options.into, node);
    if (enrolled.has(node) || usable.get(tokenIdIn(file) ?? '') === node) continue;
    const body = { node_id: node, ttl_s: options.ttl };
    const { token } = await adminCall<TokenAnswer>(options, 'POST', '/v1/tokens', body);
    replaceFileSync(file, `${token}\n`);
    written.push(node);
  }
  const text = written.length === 0 ? 'no token was needed' : `tokens for ${written.join(', ')}`;
  print(options, { written }, text);
}

function tokenIdIn(file: string): string | undefined {
  return existsSync(file) ? parseJoinToken(readFileSync(file, 'utf8'))?.id : undefined;
}
