import { toBase64 } from '../contract/encoding.ts';
import type { Tunnel } from '../tunnel/create-tunnel.ts';
import { formatEndpoint } from '../wire/address-text.ts';
import type { DataPath } from './backend.ts';
import type { AgentClock } from './clock.ts';
import type { ConfigAgent } from './config-agent.ts';
import type { Counters } from './counters.ts';
import type { SuiteProgress } from './emitter.ts';
import type { Membership, MembershipState } from './membership.ts';
import type { Probe } from './probe.ts';
import type { DesiredPeer } from './reconcile.ts';

/** What a node knows about itself: `status.json` of its state directory, and its metrics. */
export interface NodeStatusDocument {
  readonly node_id: string;
  readonly backend: string;
  /** What moves the packets; null where that cannot be told. */
  readonly data_path: DataPath | null;
  readonly state: MembershipState;
  readonly ready: boolean;
  /** Why not ready, or `ready`. */
  readonly ready_reason: string;
  readonly tunnel_address: string;
  /** Where members are told to try to reach this node; null before the controller has said so. */
  readonly places: readonly string[] | null;
  readonly epoch: number;
  readonly version: number;
  /** The controller's verdict about this node, as last heard. */
  readonly allowed: boolean | null;
  readonly reason: string | null;
  readonly explanation: string | null;
  /** Seconds until this node fails closed without a word of the controller; null if it has. */
  readonly expires_in_s: number | null;
  /** Whether pushes arrive. */
  readonly push: boolean;
  /** Base64 of the hash of the newest header: the same on all nodes that were told the same. */
  readonly header: string | null;
  /** Whether the controller has signed two headers that cannot both be true, since the start. */
  readonly split_view: boolean;
  /** Leaves of the log that were proven to go together; what contradicts it, or null. */
  readonly log: { readonly leaves: number; readonly fork: string | null };
  readonly peers: readonly PeerView[];
  readonly probes: readonly ProbeView[];
  /** Of each suite that is measured here. */
  readonly scores: readonly ScoreView[];
  readonly counters: Readonly<Record<string, number>>;
  readonly drops: Readonly<Record<string, number>>;
  /** Wall clock, ms since 1970, of this document. */
  readonly written_at: number;
}

export interface PeerView {
  readonly node_id: string;
  readonly tunnel_address: string;
  readonly endpoint: string | null;
  /** The endpoint that it was heard at, or `none` with why. */
  readonly path: string;
  /** Epoch of the keys that packets are sent on; null without any. */
  readonly generation: number | null;
  /** Nothing was said between the two for a while: their handshake waits for the first packet. */
  readonly quiet: boolean;
  readonly handshake_age_s: number | null;
  readonly rx_bytes: number;
  readonly tx_bytes: number;
}

export interface ProbeView {
  readonly node_id: string;
  readonly tunnel_address: string;
  readonly ok: boolean;
  readonly rtt_ms: number | null;
  /** Why it could not be asked; null if it was. */
  readonly error: string | null;
  readonly age_s: number;
  readonly sent: number;
  readonly received: number;
}

export interface ScoreView {
  readonly suite: string;
  /** For how long a run is under way that lasts; null if none is. */
  readonly running_s: number | null;
  /** The last one; null if there was none since the start. */
  readonly score: number | null;
  readonly age_s: number | null;
  /** Why the last attempt gave no score, or why that was not delivered; null if it was. */
  readonly failure: string | null;
}

export interface StatusSources {
  readonly nodeId: string;
  readonly backend: string;
  readonly tunnelAddress: string;
  readonly tunnel: Pick<Tunnel, 'status'>;
  readonly dataPath: DataPath | null;
  /** Where members are told to try to reach this node; undefined: not known yet. */
  readonly places: readonly string[] | undefined;
  /** See `Backend.overlap`. */
  readonly overlap?: () => string | undefined;
  readonly membership: Membership;
  readonly configAgent: Pick<ConfigAgent, 'streaming'> & {
    readonly headers: Pick<ConfigAgent['headers'], 'held' | 'isContradicted'>;
    readonly log: Pick<ConfigAgent['log'], 'size' | 'fork'>;
  };
  readonly probe: Pick<Probe, 'results'>;
  readonly scores: readonly SuiteProgress[];
  readonly counters: Counters;
  readonly clock: AgentClock;
}

/** A member with which no handshake came about for this long (s) does not count as reachable. */
const UNREACHABLE_AFTER_S = 10;

export function nodeStatus(sources: StatusSources): NodeStatusDocument {
  const { membership, clock, counters } = sources;
  const { headers, log } = sources.configAgent;
  const device = sources.tunnel.status();
  const boot = clock.boot();
  const wall = clock.wall();
  const config = membership.inForce;
  const onDevice = new Map(device.peers.map((status) => [status.publicKey.toHex(), status]));
  const peers = [...membership.peers.values()].map((peer): PeerView => {
    const found = onDevice.get(peer.publicKey.toHex());
    const handshakeAt = found?.lastHandshakeAt;
    const endpoint = found?.endpoint ? formatEndpoint(found.endpoint) : null;
    return {
      node_id: peer.nodeId,
      tunnel_address: peer.tunnelAddress,
      endpoint,
      path:
        handshakeAt === undefined || endpoint === null ? noPath(peer, sources.places) : endpoint,
      generation: found?.generation ?? null,
      quiet: found?.isQuiet ?? false,
      handshake_age_s: handshakeAt === undefined ? null : seconds((wall - handshakeAt) / 1000),
      rx_bytes: found?.rxBytes ?? 0,
      tx_bytes: found?.txBytes ?? 0,
    };
  });
  const readyReason = sources.overlap?.() ?? readiness(membership, peers, boot, sources.places);
  return {
    node_id: sources.nodeId,
    backend: sources.backend,
    data_path: sources.dataPath && {
      aead: sources.dataPath.aead,
      offloads: sources.dataPath.offloads,
    },
    state: membership.state,
    ready: readyReason === 'ready',
    ready_reason: readyReason,
    tunnel_address: sources.tunnelAddress,
    places: sources.places ?? null,
    epoch: membership.mark.epoch,
    version: membership.mark.version,
    allowed: config?.document.allowed ?? null,
    reason: config?.document.reason ?? null,
    explanation: config?.document.explanation ?? null,
    expires_in_s: config ? seconds(config.expiresAt - boot) : null,
    push: sources.configAgent.streaming,
    header: headers.held === undefined ? null : toBase64(headers.held.hash),
    split_view: headers.isContradicted,
    log: { leaves: log.size, fork: log.fork ?? null },
    peers,
    probes: sources.probe.results().map((probe) => ({
      node_id: probe.node,
      tunnel_address: probe.address,
      ok: probe.ok,
      rtt_ms: probe.rttMs ?? null,
      error: probe.error ?? null,
      age_s: seconds(boot - probe.at),
      sent: probe.sent,
      received: probe.received,
    })),
    scores: sources.scores.map(({ suite, runningMs, score, ageMs, failure }) => ({
      suite,
      running_s: runningMs === null ? null : seconds(runningMs / 1000),
      score,
      age_s: ageMs === null ? null : seconds(ageMs / 1000),
      failure,
    })),
    counters: counters.snapshot(),
    drops: device.drops,
    written_at: wall,
  };
}

/**
 * `ready`, or what is missing. Ready: the handshakes with all reachable members that this node has
 * to do with are done.
 */
function readiness(
  membership: Membership,
  peers: readonly PeerView[],
  boot: number,
  places: readonly string[] | undefined,
): string {
  if (membership.state !== 'member') return membership.state;
  const isPathless = (peer: PeerView) => peer.endpoint === null && peer.handshake_age_s === null;
  if (peers.length > 0 && peers.every(isPathless) && !places?.length) {
    return `path: ${NO_ENDPOINTS}; give --advertise ADDRESS`;
  }
  if (boot - membership.peersSince >= UNREACHABLE_AFTER_S) return 'ready';
  const { epoch } = membership.inForce!.document;
  const sinceS = boot - membership.peersSince;
  const waiting = peers.filter((peer) => {
    if (peer.quiet) return false;
    if (peer.generation !== null) return peer.generation < epoch;
    // A foreign device does not tell generations: a handshake since the new keys will do.
    return peer.handshake_age_s === null || peer.handshake_age_s > sinceS;
  });
  if (waiting.length === 0) return 'ready';
  return `handshake with ${waiting.map((peer) => peer.node_id).join(', ')}`;
}

const NO_ENDPOINTS = 'none (no endpoint on either side)';

/** Why nothing is sent to a member, as far as can be told from here. */
function noPath(
  { endpoint, candidates = [] }: DesiredPeer,
  places: readonly string[] | undefined,
): string {
  if (endpoint !== null) {
    return `none (no answer from ${[endpoint, ...candidates].join(', ')})`;
  }
  if (!places?.length) return NO_ENDPOINTS;
  return `none (it has no endpoint, and did not call ${places.join(', ')})`;
}

function seconds(value: number): number {
  return Math.round(value * 1000) / 1000;
}
