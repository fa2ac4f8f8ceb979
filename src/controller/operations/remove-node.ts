import type { RotateAnswer } from '../../contract/admin.ts';
import { accepted, type Checked, rejected } from '../../contract/problems.ts';
import { checked } from '../problem-error.ts';
import type { Services } from '../services.ts';
import { atLeast } from './authorise.ts';
import type { Caller } from './caller.ts';
import { NEEDED } from './needed-roles.ts';
import { noteAsked } from './note-asked.ts';

/** Takes a node out of the mesh for good, with a new epoch at once. */
export async function removeNode(
  services: Services,
  caller: Caller,
  nodeId: string,
): Promise<Checked<RotateAnswer>> {
  const actor = await atLeast(services, caller, NEEDED.removeNode);
  if (!actor.ok) return actor;
  const { governor, directory, emit } = services;
  const unknown = { field: 'node_id', expected: 'an enrolled node' };
  await directory.refresh();
  if (!directory.nodes.has(nodeId)) return rejected('unknown_node', unknown);
  await noteAsked(services, actor.value, 'remove', nodeId);
  const removed = await checked(() => governor.remove(nodeId));
  if (!removed.ok) return removed;
  if (removed.value === undefined) return rejected('unknown_node', unknown);
  const { epoch, version } = removed.value;
  emit({ event: 'removed', node: nodeId, by: 'admin', epoch, version });
  return accepted({ epoch, version });
}
