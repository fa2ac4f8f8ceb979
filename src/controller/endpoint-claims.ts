import {
  acceptableEndpoint,
  endpointFault,
  explainEndpointFault,
  isLoopback,
} from '../wire/acceptable-endpoint.ts';
import { formatEndpoint, parseAddress, parseEndpoint, parsePrefix } from '../wire/address-text.ts';
import { prefixContains } from '../wire/prefix.ts';

/** What is known about where a claim came from. */
export interface ClaimSurroundings {
  /** Address that the request came from, as text. */
  readonly from: string;
  /** Address and port that it was sent to: the controller's own. */
  readonly to: { readonly address: string; readonly port: number };
  readonly tunnelPrefix: string;
  /** Whether another node is reached there. */
  readonly isAnothers: (endpoint: string) => boolean;
}

/** Below this, services of somebody else's answer: DNS, NTP. */
const FIRST_UNPRIVILEGED_PORT = 1024;

/**
 * Why the members must not be told to send handshakes there; undefined if they may. An endpoint is a
 * claim: packets that are sent to it hit whoever is there, so it has to be the claimant's own as far as
 * can be seen from here.
 */
export function claimFault(text: string, surroundings: ClaimSurroundings): string | undefined {
  const endpoint = parseEndpoint(text);
  if (endpoint === undefined) return 'is no endpoint such as 192.0.2.1:51820';
  const own = formatEndpoint(endpoint);
  if (own !== text) return `has another form; ${own} is how it is written`;
  const { tunnelPrefix, isAnothers, to } = surroundings;
  const from = canonical(surroundings.from);
  const tunnel = parsePrefix(tunnelPrefix)!;
  const local = {
    port: 0,
    addresses: [],
    // Members can be on one machine only if the controller is as well.
    loopback: from !== undefined && isLoopback(from),
    isRoutedIntoTunnel: (address: Uint8Array) => prefixContains(tunnel, address),
  };
  if (!acceptableEndpoint(endpoint, local)) {
    return explainEndpointFault(text, endpointFault(endpoint, local)!);
  }
  const isOf = (address: Uint8Array | undefined) =>
    address?.length === endpoint.address.length &&
    address.every((byte, i) => byte === endpoint.address[i]);
  if (isOf(canonical(to.address)) && endpoint.port === to.port) return `${text} is the controller`;
  if (endpoint.port < FIRST_UNPRIVILEGED_PORT && !isOf(from)) {
    return `${text} is a service port of a machine that this request did not come from`;
  }
  return isAnothers(own) ? `${text} is another node's` : undefined;
}

/**
 * The endpoint that a request came from with that port, as text. Undefined over loopback: whoever comes
 * through a proxy of this machine comes from there, too.
 */
export function seenEndpoint(from: string, port: number): string | undefined {
  const address = canonical(from);
  if (address === undefined || isLoopback(address)) return undefined;
  return formatEndpoint({ family: address.length === 4 ? 4 : 6, address, port, scope: 0 });
}

/** `::ffff:192.0.2.1`, as dual-stack sockets have it, is 192.0.2.1. */
function canonical(address: string): Uint8Array | undefined {
  return parseAddress(address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, ''));
}
