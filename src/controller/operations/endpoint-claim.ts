import { MAX_CANDIDATES } from '../../contract/fields.ts';
import { accepted, type Checked, rejected } from '../../contract/problems.ts';
import { claimFault, seenEndpoint } from '../endpoint-claims.ts';
import type { Services } from '../services.ts';
import type { Places } from '../store/store.ts';
import type { Arrival } from './caller.ts';

/** What a claim is compared with. */
interface Mesh {
  readonly directory: Pick<Services['directory'], 'isElsewhere'>;
  readonly settings: Pick<Services['settings'], 'tunnelPrefix'>;
}

/** The endpoint, if members may be told to send handshakes to `nodeId` there. */
export function acceptableClaim(
  services: Services,
  nodeId: string,
  endpoint: string | null,
  arrival: Arrival,
): Checked<string | null> {
  if (endpoint === null) return accepted(null);
  const fault = faultOf(services, nodeId, arrival)(endpoint);
  if (fault === undefined) return accepted(endpoint);
  const expected = `the UDP socket of the node itself; ${fault}`;
  return rejected('endpoint_refused', { field: 'endpoint', expected });
}

/** Where a node says that it may be. */
export interface Offer {
  /** Its own addresses with its port, those that are likelier first. */
  readonly candidates: readonly string[];
  /** Its port, to be looked for at the address that its request comes from. */
  readonly seenPort: number | undefined;
}

/**
 * Of what a node offers, that to which members may be told to send handshakes: its own first address, which
 * older members use alone, then that which was seen, then its others.
 */
export function acceptableOffer(
  services: Mesh,
  nodeId: string,
  { candidates: [first, ...others], seenPort }: Offer,
  arrival: Arrival,
): Places {
  const seen = seenPort === undefined ? undefined : seenEndpoint(arrival.from, seenPort);
  const fault = faultOf(services, nodeId, arrival);
  const offered = [first, seen, ...others].filter((one) => one !== undefined);
  const [endpoint = null, ...more] = [...new Set(offered)].filter((one) => !fault(one));
  const candidates = more.slice(0, MAX_CANDIDATES);
  return candidates.length === 0 ? { endpoint } : { endpoint, candidates };
}

function faultOf({ settings, directory }: Mesh, nodeId: string, arrival: Arrival) {
  const surroundings = {
    ...arrival,
    tunnelPrefix: settings.tunnelPrefix,
    isAnothers: (endpoint: string) => directory.isElsewhere(endpoint, nodeId),
  };
  return (endpoint: string) => claimFault(endpoint, surroundings);
}
