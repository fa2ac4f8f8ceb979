import type { RotateAnswer } from '../contract/admin.ts';
import { adminCall } from './admin-client.ts';
import { type AdminOptions, print } from './answer.ts';
import { nodeNamed } from './meshnet-epoch.ts';
import { type EpochSource, epochFromSocket, readEpoch } from './read-epoch.ts';
import { table } from './table.ts';

/** `meshnet node remove NAME`. */
export async function removeNode(nodeId: string, options: AdminOptions): Promise<void> {
  nodeNamed(await epochFromSocket(options), nodeId);
  const path = `/v1/nodes/${encodeURIComponent(nodeId)}`;
  const answer = await adminCall<RotateAnswer>(options, 'DELETE', path);
  print(options, answer, `${nodeId} is out since epoch ${answer.epoch}`);
}

/** `meshnet node list`. */
export async function listNodes(options: EpochSource & { readonly json?: boolean }): Promise<void> {
  const value = await readEpoch(options);
  const rows = value.nodes.map((node) => [
    node.node_id,
    node.tunnel_address,
    node.allowed ? 'member' : 'denied',
    node.since_epoch === null ? '-' : `since epoch ${node.since_epoch}`,
  ]);
  print(options, value.nodes, table([['NODE', 'ADDRESS', 'VERDICT', 'MEMBER'], ...rows]));
}

/** `meshnet node reset-sequence NAME`. */
export async function resetSequence(nodeId: string, options: AdminOptions): Promise<void> {
  const path = `/v1/nodes/${encodeURIComponent(nodeId)}/reset-sequence`;
  await adminCall(options, 'POST', path);
  print(options, { node_id: nodeId }, `${nodeId} may count from 1 again`);
}
