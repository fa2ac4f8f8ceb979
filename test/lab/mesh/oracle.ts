import { type ConfigDocument, compareVersions } from '../../../src/contract/config.ts';
import type { HeaderDocument } from '../../../src/contract/epoch/header.ts';
import type { LeaseDocument } from '../../../src/contract/epoch/lease.ts';
import type { SealsDocument } from '../../../src/contract/epoch/seals.ts';
import type { StreamEvent } from '../../../src/contract/stream-event.ts';
import type { Peer } from '../../../src/device/peer.ts';
import type { PeerTable } from '../../../src/device/peer-table.ts';
import { MESSAGE_TYPE, messageType } from '../../../src/wire/message-type.ts';
import type { SimulatedNode } from '../simulation.ts';
import type { Listener } from './sim-channel.ts';
import type { SimNode } from './sim-node.ts';

/** An agent looks at lifetimes and for suspends every 250 ms of its own time. */
const WATCH_MS = 260;

/** The newest that a node was told. */
interface Known {
  readonly epoch: number;
  readonly version: number;
  /** Ids of the other members. */
  readonly peers: ReadonlySet<string>;
  /** Epoch of the newest config: an event does not say since when somebody is a member. */
  readonly configured: number;
}

/**
 * Keeps its own account of what each node was told, read off the messages themselves, and holds
 * everything a node does against it: no code of the agent or the device has a say here.
 */
export class Oracle implements Listener {
  readonly violations: string[] = [];
  private readonly known = new Map<string, Known>();
  /** By epoch: its members, each with the epoch since which it has been one without a break. */
  private readonly epochs = new Map<number, ReadonlyMap<string, number>>();
  /** "node peer" -> boot clock, s: end of the last config's lifetime that listed the peer. */
  private readonly listedUntil = new Map<string, number>();
  private readonly headers = new Map<string, { linked: number; readonly arrived: Set<number> }>();
  /** The newest that arrived, by node. */
  private readonly seals = new Map<string, SealsDocument>();
  /** Boot clock, s: end of the last lease, by node. */
  private readonly leasedUntil = new Map<string, number>();
  private readonly lifetimeS: number;
  private readonly nodes: readonly SimNode[];
  private readonly byKey: ReadonlyMap<string, SimNode>;

  /** `lifetimeS`: of leases, seconds. */
  constructor(nodes: readonly SimNode[], lifetimeS: number) {
    this.nodes = nodes;
    this.lifetimeS = lifetimeS;
    this.byKey = new Map(nodes.map((node) => [node.tunnel.publicKey.toHex(), node]));
    for (const node of nodes) {
      node.tunnel.onSent = (datagram, { address, port }) => {
        const type = messageType(datagram);
        if (type === MESSAGE_TYPE.cookieReply) return; // owed to nobody, sealed with no session
        const to = nodes.find(({ tunnel: { endpoint } }) => {
          return endpoint.port === port && endpoint.address.join() === address.join();
        });
        this.judge(node, to, `sent a message of type ${type} to`);
      };
    }
  }

  versionKnownTo(nodeId: string): number {
    return this.known.get(nodeId)?.version ?? 0;
  }

  epochCommitted(epoch: number, members: Iterable<string>): void {
    const before = this.epochs.get(epoch - 1);
    const since = [...members].map((id): [string, number] => [id, before?.get(id) ?? epoch]);
    this.epochs.set(epoch, new Map(since));
  }

  configArrived(nodeId: string, document: ConfigDocument, sentAt: number): void {
    const node = this.nodes.find((one) => one.nodeId === nodeId)!;
    const before = this.known.get(nodeId);
    if (before !== undefined && compareVersions(document, before) < 0) return;
    const until = sentAt / 1000 + document.lifetime_s;
    if (node.boot() >= until) return;
    const { epoch, version } = document;
    const peers = new Set(document.peers.map((peer) => peer.node_id));
    const members = [...this.epochs.get(epoch)!.keys()];
    const expected = members.includes(nodeId) ? members.filter((id) => id !== nodeId) : [];
    if (expected.join() !== [...peers].join()) {
      this.violations.push(`${nodeId} was given ${[...peers]} in epoch ${epoch} of ${members}`);
    }
    this.known.set(nodeId, { epoch, version, peers, configured: epoch });
    for (const peer of peers) this.listedUntil.set(`${nodeId} ${peer}`, until);
  }

  eventArrived(nodeId: string, { epoch, version, removed }: StreamEvent): void {
    const before = this.known.get(nodeId);
    if (before !== undefined && compareVersions({ epoch, version }, before) <= 0) return;
    const peers = new Set(removed.includes(nodeId) ? [] : before?.peers);
    for (const gone of removed) peers.delete(gone);
    this.known.set(nodeId, { epoch, version, peers, configured: before?.configured ?? 0 });
  }

  leaseArrived(nodeId: string, lease: LeaseDocument, sentAt: number): void {
    const node = this.nodes.find((one) => one.nodeId === nodeId)!;
    const before = this.known.get(nodeId);
    const until = sentAt / 1000 + this.lifetimeS;
    if ((before && compareVersions(lease, before) < 0) || node.boot() >= until) return;
    if (!lease.allowed) {
      const { epoch, version } = lease;
      this.known.set(nodeId, { epoch, version, peers: new Set(), configured: epoch });
      return;
    }
    this.leasedUntil.set(nodeId, Math.max(until, this.leasedUntil.get(nodeId) ?? 0));
    if (before?.configured === lease.epoch) this.extend(nodeId, before.peers);
  }

  /** Headers name each other: one tells nothing before those between have come. */
  headerArrived(nodeId: string, { epoch }: HeaderDocument): void {
    const headers = this.headers.get(nodeId) ?? { linked: epoch, arrived: new Set() };
    this.headers.set(nodeId, headers);
    headers.arrived.add(epoch);
    while (headers.arrived.has(headers.linked + 1)) headers.linked++;
    const seals = this.seals.get(nodeId);
    if (seals !== undefined) this.keysArrived(nodeId, seals);
  }

  /** Keys are of use once the header that they belong to is known. */
  keysArrived(nodeId: string, seals: SealsDocument): void {
    const { epoch, version } = seals;
    const before = this.known.get(nodeId);
    if (before && compareVersions({ epoch, version }, before) < 0) return;
    this.seals.set(nodeId, seals);
    if ((this.headers.get(nodeId)?.linked ?? 0) < epoch) return;
    const peers = new Set([...this.epochs.get(epoch)!.keys()].filter((id) => id !== nodeId));
    this.known.set(nodeId, { epoch, version, peers, configured: epoch });
    this.extend(nodeId, peers);
  }

  private extend(nodeId: string, peers: ReadonlySet<string>): void {
    const until = this.leasedUntil.get(nodeId) ?? 0;
    for (const peer of peers) {
      const pair = `${nodeId} ${peer}`;
      this.listedUntil.set(pair, Math.max(until, this.listedUntil.get(pair) ?? 0));
    }
  }

  accepted(at: SimulatedNode, from: SimulatedNode): void {
    const of = (tunnel: SimulatedNode) => this.nodes.find((node) => node.tunnel === tunnel);
    this.judge(of(at)!, of(from), 'accepted a packet from');
  }

  /** What is on the devices now. */
  checkDevices(): void {
    for (const node of this.nodes) {
      if (!node.isUp || node.isSuspended) continue;
      for (const peer of peersOf(node)) {
        const other = this.byKey.get(peer.publicKey.toHex());
        this.judge(node, other, 'has as a peer');
        if (other !== undefined) this.checkKeypairs(node, other, peer);
      }
    }
  }

  private checkKeypairs(node: SimNode, other: SimNode, peer: Peer): void {
    const configured = this.known.get(node.nodeId)?.configured ?? 0;
    const since = this.epochs.get(configured)?.get(other.nodeId) ?? 0;
    const { awake } = node;
    const now = node.boot() * 1000;
    for (const { generation, createdAt } of peer.keypairs.all()) {
      if (generation < since) {
        this.violated(
          node,
          `has a keypair of epoch ${generation} with`,
          other,
          `in since ${since}`,
        );
      }
      if (awake !== undefined && now > awake.at + WATCH_MS && createdAt < awake.monotonic) {
        this.violated(node, 'has a keypair from before its suspend with', other, '');
      }
    }
  }

  private judge(node: SimNode, other: SimNode | undefined, did: string): void {
    const why = this.objection(node, other);
    if (why !== undefined) this.violated(node, did, other, why);
  }

  /** Why `node` must have nothing to do with `other` now; undefined if it may. */
  private objection(node: SimNode, other: SimNode | undefined): string | undefined {
    if (other === undefined) return 'is no node';
    const known = this.known.get(node.nodeId);
    if (known?.peers.has(other.nodeId) !== true) {
      return `not in the newest known config, ${known?.epoch ?? 0}.${known?.version ?? 0}`;
    }
    const until = this.listedUntil.get(`${node.nodeId} ${other.nodeId}`) ?? 0;
    const looked = Math.max(until, (node.awake?.at ?? 0) / 1000) + WATCH_MS / 1000;
    return node.boot() > looked ? `last listed until ${until}` : undefined;
  }

  private violated(node: SimNode, did: string, other: SimNode | undefined, why: string): void {
    const at = node.boot().toFixed(3);
    this.violations.push(`${at}: ${node.nodeId} ${did} ${other?.nodeId ?? 'nobody'} (${why})`);
  }
}

/** The device's own list, with the keypairs of each peer: status does not show those. */
function peersOf({ tunnel }: SimNode): Peer[] {
  const { peers } = tunnel.core.device as unknown as { peers: PeerTable };
  return [...peers.all()];
}
