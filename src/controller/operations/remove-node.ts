import type { RotateAnswer } from '../../contract/admin.ts';
import { accepted, type Checked, rejected } from '../../contract/problems.ts';
import { checked } from '../problem-error.ts';
import type { Services } from '../services.ts';
import { adminOnly, type Caller } from './caller.ts';

/** Takes a node out of the mesh for good, with a new epoch at once. */
export async function removeNode(
  { governor, emit }: Services,
  caller: Caller,
  nodeId: string,
): Promise<Checked<RotateAnswer>> {
  const allowed = adminOnly(caller);
  if (!allowed.ok) return allowed;
  const removed = await checked(() => governor.remove(nodeId));
  if (!removed.ok) return removed;
  if (removed.value === undefined) {
    return rejected('unknown_node', { field: 'node_id', expected: 'an enrolled node' });
  }
  const { epoch, version } = removed.value;
  emit({ event: 'removed', node: nodeId, by: 'admin', epoch, version });
  return accepted({ epoch, version });
}
