import { isIP } from 'node:net';
import { sourceTowards } from '../agent/own-endpoint.ts';
import type { PingAnswer } from '../agent/socket/ping-node.ts';
import type { NodeStatusDocument, PeerView } from '../agent/status.ts';
import { parseEndpoint } from '../wire/address-text.ts';
import { type Finding, ok, problem, warning } from './finding.ts';
import { interfaceWith, mtuOf } from './machine.ts';

/** Most members that are asked for an echo, and most paths that are looked at. */
const MAX_ASKED = 8;

/** Bytes around a packet of the tunnel: IP, UDP, and the header and tag of transport data. */
const OVERHEAD = { 4: 20 + 8 + 32, 6: 40 + 8 + 32 } as const;

/** Whether UDP gets through to other members and back: an echo counts if it came out of the tunnel. */
export async function udpOf(
  { peers, epoch }: Pick<NodeStatusDocument, 'peers' | 'epoch'>,
  ping: (node: string) => Promise<PingAnswer>,
): Promise<Finding[]> {
  if (peers.length === 0) return [ok('udp', 'there is no other member to talk to')];
  const asked = await Promise.all(
    peers.slice(0, MAX_ASKED).map(async (peer) => ({ peer, answer: await ping(peer.node_id) })),
  );
  const answered = asked.filter(({ answer }) => answer.rtt_ms !== null);
  const silent = asked.filter(({ answer }) => answer.rtt_ms === null);
  return [
    ...(answered.length === 0
      ? []
      : [ok('udp', `${names(answered.map(({ peer }) => peer))} answer through the tunnel`)]),
    ...silent.map(({ peer, answer }) => silence(peer, answer, epoch)),
  ];
}

const OPEN_UDP =
  'open that UDP port on the other machine and in the firewalls on the way, both directions; a fixed --listen-port makes that a rule';

function silence(peer: PeerView, answer: PingAnswer, epoch: number): Finding {
  const { node_id, generation, tx_bytes, rx_bytes } = peer;
  const { error, endpoint, handshake_age_s } = answer;
  if (error !== null) {
    const remedy = 'the node needs CAP_NET_RAW, and its interface must be up';
    return problem('udp', `${node_id} could not be asked: ${error}`, remedy);
  }
  if (endpoint === null && handshake_age_s === null) {
    const remedy = 'give --advertise ADDRESS on one of the two, and open its UDP port';
    return problem('udp', `${node_id}: no endpoint is known on either side`, remedy);
  }
  if (handshake_age_s === null) {
    const far =
      tx_bytes > 0 || rx_bytes === 0 ? `UDP to ${endpoint} goes unanswered` : 'no handshake';
    return problem('udp', `${node_id}: ${far}`, OPEN_UDP);
  }
  if (generation !== null && generation < epoch) {
    const found = `${node_id}: shook hands in epoch ${generation}, and not in ${epoch}: UDP to ${endpoint} goes unanswered`;
    return problem('udp', found, OPEN_UDP);
  }
  const remedy = `look at ${node_id}: does it run, does its own firewall drop ICMP on the interface of the mesh?`;
  return problem('udp', `${node_id}: shook hands, but no echo comes out of the tunnel`, remedy);
}

export interface EndpointFacts {
  /** Where members are told to try to reach this node; null: not known here. */
  readonly places: readonly string[] | null;
  /** UDP port of the tunnel. */
  readonly port: number;
}

/** Where members are told to find this node, and where it is told to find them. */
export function endpointsOf(
  peers: readonly PeerView[],
  { places, port }: EndpointFacts,
): Finding[] {
  const pathless = peers.filter((peer) => peer.endpoint === null);
  const theirs =
    pathless.length === 0
      ? []
      : [
          warning(
            'endpoints',
            `${names(pathless)} can be called by nobody and must call first`,
            'give --advertise ADDRESS there, and open its UDP port',
          ),
        ];
  return [ownEndpointFinding(places, port), ...theirs];
}

function ownEndpointFinding(places: readonly string[] | null, port: number): Finding {
  if (places === null) return ok('endpoints', 'the mesh was told at enrolment where this is');
  const [first] = places;
  if (first === undefined) {
    const remedy = 'give --advertise ADDRESS, with UDP open there';
    return warning('endpoints', 'members cannot call this node: it has to call first', remedy);
  }
  const text = places.join(', ');
  const usable = places.filter((place) => parseEndpoint(place)?.port === port);
  if (usable.length === 0) {
    const found = `members are told ${text}, but the tunnel is at UDP port ${port}`;
    return warning('endpoints', found, `forward that port to ${port}, or start the node anew`);
  }
  const here = usable.find((place) => interfaceWith(addressIn(place)) !== undefined);
  return ok(
    'endpoints',
    here === undefined
      ? `members call ${text}, no address of this machine: a router must forward UDP ${port} here`
      : `members call this node at ${here}`,
  );
}

function addressIn(endpoint: string): string {
  return endpoint.slice(0, endpoint.lastIndexOf(':')).replace(/^\[|\]$/g, '');
}

/** Whether packets of the tunnel fit the interfaces that they leave by. */
export async function mtuFindings(
  { peers, tunnel_address }: NodeStatusDocument,
  mtu = mtuOf,
): Promise<Finding[]> {
  const own = interfaceWith(tunnel_address);
  const inner = own === undefined ? undefined : mtu(own);
  if (own === undefined || inner === undefined) {
    return [ok('mtu', 'there is no interface of the mesh in this network namespace')];
  }
  const ways = new Map<string, number>();
  for (const { endpoint } of peers.slice(0, MAX_ASKED)) {
    const host = endpoint?.slice(0, endpoint.lastIndexOf(':')).replace(/^\[|\]$/g, '');
    const source = host && (await sourceTowards(host, 9));
    const by = source && interfaceWith(source);
    if (by) ways.set(by, OVERHEAD[isIP(source) === 6 ? 6 : 4]);
  }
  const tight = [...ways].filter(([by, overhead]) => (mtu(by) ?? 0) < inner + overhead);
  if (tight.length === 0) return [ok('mtu', `${own} has ${inner}, which fits where it leaves by`)];
  return tight.map(([by, overhead]) =>
    problem(
      'mtu',
      `packets of ${own} (${inner}) become ${inner + overhead}, and ${by} takes ${mtu(by)}`,
      `ip link set ${own} mtu ${(mtu(by) ?? 0) - overhead}, on every member`,
    ),
  );
}

function names(peers: readonly PeerView[]): string {
  return peers.map((peer) => peer.node_id).join(', ');
}
