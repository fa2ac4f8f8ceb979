import { accepted, type Checked, rejected } from '../../contract/problems.ts';
import type { Services } from '../services.ts';
import { atLeast } from './authorise.ts';
import type { Caller } from './caller.ts';
import { NEEDED } from './needed-roles.ts';
import { noteAsked } from './note-asked.ts';

/** Lets the sequences of the scores about a node start anew. */
export async function resetSequences(
  services: Services,
  caller: Caller,
  nodeId: string,
): Promise<Checked<null>> {
  const actor = await atLeast(services, caller, NEEDED.resetSequences);
  if (!actor.ok) return actor;
  const { store, clock, emit } = services;
  const unknown = { field: 'node_id', expected: 'an enrolled node' };
  if ((await store.node(nodeId)) === undefined) return rejected('unknown_node', unknown);
  await noteAsked(services, actor.value, 'reset_sequences', nodeId);
  if (!(await store.resetSequences(nodeId, clock.now()))) return rejected('unknown_node', unknown);
  emit({ event: 'sequences_reset', node: nodeId });
  return accepted(null);
}
