import { toBase64 } from '../contract/encoding.ts';
import { PAYLOAD_TYPES, signEnvelope } from '../contract/envelope.ts';
import { FIRST_PROTOCOL } from '../contract/protocol.ts';
import { MOST_REACHED, type ReachDocument, type Reached } from '../contract/reach.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import type { OwnIdentity } from './accepted-config.ts';
import type { CallReports } from './call-reports.ts';
import type { AgentClock, RandomNumber } from './clock.ts';
import { CallError } from './controller-answer.ts';
import type { ControllerClient } from './controller-client.ts';
import type { NodeStatusDocument, PeerView, ProbeView } from './status.ts';

export interface ReachReporterOptions {
  readonly client: Pick<ControllerClient, 'putReach' | 'protocol' | 'controllerTime'>;
  readonly identity: Pick<OwnIdentity, 'meshId' | 'nodeId'>;
  readonly signingSeed: Uint8Array;
  readonly status: () => Pick<NodeStatusDocument, 'peers' | 'probes'>;
  readonly crypto: CryptoProvider;
  readonly clock: AgentClock;
  readonly random: RandomNumber;
  readonly calls: CallReports;
  /** ms between reports; in a mesh of many, longer. */
  readonly intervalMs: number;
}

/** More often (ms) than this a controller does not listen. */
const LEAST_INTERVAL_MS = 5000;
/** All nodes together tell a controller so many times a second, at most. */
const REPORTS_PER_S = 64;
/** Own tuning: in a mesh of more nodes than are few, a report speaks of fewer. */
const FEW_NODES = 128;
const MOST_OF_MANY = 8;

/** Tells the controller, for people to see, whom this node reaches. Nothing depends on it. */
export class ReachReporter {
  private readonly options: ReachReporterOptions;
  private reportedAt = 0;

  constructor(options: ReachReporterOptions) {
    this.options = options;
  }

  /** Runs until `signal` aborts, or the controller says that it does not want to hear of it. */
  async run(signal: AbortSignal): Promise<void> {
    const { client, clock, random, calls } = this.options;
    let waitMs = LEAST_INTERVAL_MS;
    while (!signal.aborted) {
      await clock.sleep(waitMs * (0.9 + 0.2 * random()), signal);
      if (signal.aborted) return;
      if (client.protocol <= FIRST_PROTOCOL) continue; // it has no ear for it, or has not spoken yet
      try {
        waitMs = await this.report(signal);
        calls.succeeded('reach');
      } catch (error) {
        if (signal.aborted) return;
        calls.failed('reach', error);
        if (error instanceof CallError && error.code === 'not_found') return;
        waitMs = Math.max(LEAST_INTERVAL_MS, this.options.intervalMs);
      }
    }
  }

  /** One report. ms until the next. */
  private async report(signal: AbortSignal): Promise<number> {
    const { client, identity, signingSeed, status, crypto, intervalMs } = this.options;
    const { peers, probes } = status();
    const nodes = Math.max(peers.length, probes.length);
    const now = client.controllerTime();
    this.reportedAt = Math.max(now, this.reportedAt + 1);
    const document: ReachDocument = {
      mesh_id: toBase64(identity.meshId),
      audience: 'controller',
      node_id: identity.nodeId,
      reported_at: this.reportedAt,
      others: reachedOthers(peers, probes, nodes > FEW_NODES ? MOST_OF_MANY : MOST_REACHED),
    };
    const envelope = signEnvelope(crypto, signingSeed, PAYLOAD_TYPES.reach, document);
    await client.putReach(identity.nodeId, envelope, signal);
    return Math.max(LEAST_INTERVAL_MS, intervalMs, (nodes / REPORTS_PER_S) * 1000);
  }
}

/** Whom to tell of, `most` at most: members that do not answer first, then those of whom most is known. */
export function reachedOthers(
  peers: readonly PeerView[],
  probes: readonly ProbeView[],
  most: number,
): Reached[] {
  const members = new Map(peers.map((peer) => [peer.node_id, peer]));
  const asked = new Map(probes.map((probe) => [probe.node_id, probe]));
  const ids = [...asked.keys(), ...[...members.keys()].filter((id) => !asked.has(id))];
  const concern = (id: string) => {
    const probe = asked.get(id);
    if (probe === undefined) return members.get(id)!.quiet ? 3 : 2;
    return members.has(id) && !probe.ok && probe.error === null ? 0 : 1;
  };
  const age = (id: string) => asked.get(id)?.age_s ?? 0;
  return ids
    .sort((a, b) => concern(a) - concern(b) || age(a) - age(b))
    .slice(0, most)
    .map((id) => reached(id, members.get(id), asked.get(id)));
}

const LONGEST_RTT_MS = 60_000;

function reached(
  node_id: string,
  peer: PeerView | undefined,
  probe: ProbeView | undefined,
): Reached {
  const wasAsked = probe !== undefined && probe.error === null;
  const handshakeAge = peer?.handshake_age_s ?? null;
  return {
    node_id,
    echo: !wasAsked ? 'not_asked' : probe.ok ? 'answered' : 'unanswered',
    echo_age_s: wasAsked ? whole(probe.age_s) : null,
    rtt_ms: wasAsked && probe.rtt_ms !== null ? Math.min(LONGEST_RTT_MS, probe.rtt_ms) : null,
    handshake_age_s: handshakeAge === null ? null : whole(handshakeAge),
    // A scope means something on this machine only.
    path: handshakeAge === null ? null : (peer?.endpoint?.replace(/%[^\]]*/, '') ?? null),
  };
}

function whole(seconds: number): number {
  return Math.max(0, Math.floor(seconds));
}
