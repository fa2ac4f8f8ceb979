import { accepted, type Checked, rejected } from '../../contract/problems.ts';
import type { Services } from '../services.ts';
import { adminOnly, type Caller } from './caller.ts';

/** Lets the sequences of the scores about a node start anew. */
export async function resetSequences(
  { store, clock, emit }: Services,
  caller: Caller,
  nodeId: string,
): Promise<Checked<null>> {
  const allowed = adminOnly(caller);
  if (!allowed.ok) return allowed;
  if (!(await store.resetSequences(nodeId, clock.now()))) {
    return rejected('unknown_node', { field: 'node_id', expected: 'an enrolled node' });
  }
  emit({ event: 'sequences_reset', node: nodeId });
  return accepted(null);
}
