import { accepted, type Checked, rejected } from '../../contract/problems.ts';
import { claimFault } from '../endpoint-claims.ts';
import type { Services } from '../services.ts';
import type { Arrival } from './caller.ts';

/** The endpoint, if members may be told to send handshakes to `nodeId` there. */
export function acceptableClaim(
  { settings, directory }: Services,
  nodeId: string,
  endpoint: string | null,
  arrival: Arrival,
): Checked<string | null> {
  if (endpoint === null) return accepted(null);
  const others = [...directory.nodes.values()].filter((other) => other.nodeId !== nodeId);
  const fault = claimFault(endpoint, {
    ...arrival,
    tunnelPrefix: settings.tunnelPrefix,
    others: others.map((other) => other.endpoint),
  });
  if (fault === undefined) return accepted(endpoint);
  const expected = `the UDP socket of the node itself; ${fault}`;
  return rejected('endpoint_refused', { field: 'endpoint', expected });
}
