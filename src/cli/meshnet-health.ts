import { existsSync } from 'node:fs';
import { adminCall } from './admin-client.ts';
import { type AdminOptions, print } from './answer.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { localStatus } from './meshnet-epoch.ts';

/**
 * `meshnet health`: asks the controller of this machine (or container), or else its node. Rejects with
 * a `CommandError` if there is neither, or it is not ready to do what it is there for. A node that was
 * told that it is out is healthy: that is what it is there for, too.
 */
export async function health(options: AdminOptions & { readonly state: string }): Promise<void> {
  if (existsSync(options.socket)) {
    await adminCall<unknown>(options, 'GET', '/readyz');
    return print(options, { controller: 'ready' }, 'controller: ready');
  }
  const node = localStatus(options.state);
  if (node === undefined) {
    const message = `no controller listens at ${options.socket}, no node runs in ${options.state}`;
    throw new CommandError(EXIT.unreachable, 'unreachable', message);
  }
  if (node.state === 'starting') {
    throw new CommandError(EXIT.failed, 'not_ready', `${node.node_id} has no config yet`);
  }
  const { node_id, state, ready_reason } = node;
  print(options, { node: node_id, state, ready_reason }, `${node_id}: ${state}, ${ready_reason}`);
}
