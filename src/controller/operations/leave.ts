import type { RotateAnswer } from '../../contract/admin.ts';
import { SIGNATURE_TAGS } from '../../contract/http-signature.ts';
import { accepted, type Checked, rejected } from '../../contract/problems.ts';
import { checked } from '../problem-error.ts';
import type { Services } from '../services.ts';
import type { NetworkRequest } from './caller.ts';
import { nodeItself } from './signer.ts';

export interface LeaveCall {
  readonly nodeId: string;
  readonly request: NetworkRequest;
}

/** A node takes itself out of the mesh for good, with a new epoch at once. */
export async function leave(
  services: Services,
  { nodeId, request }: LeaveCall,
): Promise<Checked<RotateAnswer>> {
  const signer = nodeItself(services, nodeId, request, SIGNATURE_TAGS.leave);
  if (!signer.ok) return signer;
  const { governor, emit } = services;
  const removed = await checked(() => governor.remove(nodeId));
  if (!removed.ok) return removed;
  if (removed.value === undefined) {
    return rejected('unknown_node', { field: 'node_id', expected: 'an enrolled node' });
  }
  const { epoch, version } = removed.value;
  emit({ event: 'removed', node: nodeId, by: 'itself', epoch, version });
  return accepted({ epoch, version });
}
