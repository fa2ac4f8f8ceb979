import type { EndpointAnswer } from '../../contract/endpoint.ts';
import { SIGNATURE_TAGS } from '../../contract/http-signature.ts';
import { accepted, type Checked, rejected } from '../../contract/problems.ts';
import { MOVES } from '../limits.ts';
import type { Services } from '../services.ts';
import { type Places, samePlaces } from '../store/store.ts';
import type { Arrival, NetworkRequest } from './caller.ts';
import { acceptableClaim, acceptableOffer, type Offer } from './endpoint-claim.ts';
import { nodeItself } from './signer.ts';

export interface EndpointCall {
  readonly nodeId: string;
  readonly request: NetworkRequest;
  /**
   * The one place where it is (null: it can be reached nowhere and always goes first), or those where it
   * may be.
   */
  readonly where: string | null | Offer;
}

/** A node says where it may be reached from now on; in force with the next epoch. */
export async function announceEndpoint(
  services: Services,
  { nodeId, request, where }: EndpointCall,
): Promise<Checked<EndpointAnswer>> {
  const { store, directory, clock, emit, moves } = services;
  const signer = nodeItself(services, nodeId, request, SIGNATURE_TAGS.endpoint);
  if (!signer.ok) return signer;
  const { node } = signer.value;
  const claim = placesOf(services, nodeId, where, request.arrival);
  if (!claim.ok) return claim;
  const places = claim.value;
  const answer = accepted({ node_id: nodeId, ...places });
  if (samePlaces(places, node)) return answer;
  const now = clock.now();
  if (!moves.has(nodeId, now)) {
    const detail = `A node may move ${MOVES.burst} times, and again every ${MOVES.intervalMs / 1000} s.`;
    return rejected('too_many_requests', { detail });
  }
  moves.take(nodeId, now);
  const revision = await store.setPlaces(nodeId, places, now);
  if (revision === undefined) {
    return rejected('unknown_node', { field: 'node_id', expected: 'an enrolled node' });
  }
  const { endpoint: before, candidates: _, ...rest } = node;
  directory.changed({ ...rest, ...places }, revision);
  const { endpoint, candidates = [] } = places;
  emit({ event: 'endpoint_changed', node: nodeId, endpoint, candidates, before });
  return answer;
}

function placesOf(
  services: Services,
  nodeId: string,
  where: EndpointCall['where'],
  arrival: Arrival,
): Checked<Places> {
  if (where !== null && typeof where === 'object') {
    return accepted(acceptableOffer(services, nodeId, where, arrival));
  }
  const claim = acceptableClaim(services, nodeId, where, arrival);
  return claim.ok ? accepted({ endpoint: claim.value }) : claim;
}
