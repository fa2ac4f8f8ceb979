import type { EndpointAnswer } from '../../contract/endpoint.ts';
import { SIGNATURE_TAGS } from '../../contract/http-signature.ts';
import { accepted, type Checked, rejected } from '../../contract/problems.ts';
import { MOVES } from '../limits.ts';
import type { Services } from '../services.ts';
import { type NetworkRequest, nodeItself } from './caller.ts';
import { acceptableClaim } from './endpoint-claim.ts';

export interface EndpointCall {
  readonly nodeId: string;
  readonly request: NetworkRequest;
  /** Null: it can be reached nowhere and always goes first. */
  readonly endpoint: string | null;
}

/** A node says where it can be reached from now on; in force with the next epoch. */
export async function announceEndpoint(
  services: Services,
  { nodeId, request, endpoint }: EndpointCall,
): Promise<Checked<EndpointAnswer>> {
  const { store, directory, clock, emit, moves } = services;
  const signer = nodeItself(services, nodeId, request, SIGNATURE_TAGS.endpoint);
  if (!signer.ok) return signer;
  const { node } = signer.value;
  const claim = acceptableClaim(services, nodeId, endpoint, request.arrival);
  if (!claim.ok) return claim;
  const answer = accepted({ node_id: nodeId, endpoint });
  if (endpoint === node.endpoint) return answer;
  const now = clock.now();
  if (!moves.has(nodeId, now)) {
    const detail = `A node may move ${MOVES.burst} times, and again every ${MOVES.intervalMs / 1000} s.`;
    return rejected('too_many_requests', { detail });
  }
  moves.take(nodeId, now);
  const revision = await store.setEndpoint(nodeId, endpoint, now);
  if (revision === undefined) {
    return rejected('unknown_node', { field: 'node_id', expected: 'an enrolled node' });
  }
  directory.changed({ ...node, endpoint }, revision);
  emit({ event: 'endpoint_changed', node: nodeId, endpoint, before: node.endpoint });
  return answer;
}
