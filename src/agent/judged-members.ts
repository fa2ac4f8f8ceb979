import { equalBytes, toBase64 } from '../contract/encoding.ts';
import type { MemberLeaf, MembershipTree } from '../contract/epoch/membership-tree.ts';
import type { RosterEntry } from '../contract/epoch/roster.ts';
import type { KeyRecord } from '../contract/key-record.ts';
import { NodeList } from '../contract/node-list.ts';
import { type AcceptedPeer, inPrefix, type OwnIdentity } from './accepted-config.ts';
import type { PinCheck, PinVerdict } from './pins.ts';

/** What a membership comes to for one of its members. */
export interface JudgedPeers {
  readonly peers: NodeList<AcceptedPeer>;
  /** Their keys contradict a pin, or are not what they have signed: left out. */
  readonly refused: readonly string[];
  /** With a new key where the pin could be let go of: taken. */
  readonly changed: readonly string[];
  /** Everybody but the node itself. The same list for as long as nobody has other keys or another address. */
  readonly roster: readonly RosterEntry[];
}

/** What the node knows of itself, and of the epoch. */
export interface JudgedFor {
  readonly epoch: number;
  readonly tunnelAddress: string;
  readonly tunnelPrefix: string;
}

/** What is known of a member besides its entry, where it is not as it should be. */
type Verdict = Exclude<PinVerdict, 'fits'>;

const NOBODY = NodeList.of<never>([]);

/**
 * Judges one membership after the other, looking only at those who are not what they were in the one before:
 * what an epoch costs a node grows with what changes in it, and not with the mesh. A membership that an honest
 * controller never tells of leaves no trace.
 */
export class JudgedMembers {
  private readonly own: OwnIdentity;
  private readonly recordOf: (leaf: MemberLeaf) => KeyRecord | undefined;
  private leaves: NodeList<MemberLeaf> = NOBODY;
  private peers: NodeList<AcceptedPeer> = NOBODY;
  private roster: readonly RosterEntry[] = [];
  private pins: PinCheck['pins'] | undefined;
  private verdicts: ReadonlyMap<string, Verdict> = new Map();
  /** Tunnel address -> who has it: the node itself is not among them. */
  private readonly addresses = new Map<string, string>();
  /** WireGuard key (base64) -> which peer has it. */
  private readonly keys = new Map<string, string>();

  constructor(own: OwnIdentity, recordOf: (leaf: MemberLeaf) => KeyRecord | undefined) {
    this.own = own;
    this.recordOf = recordOf;
  }

  /** Whose key it is, in the newest membership that was judged. */
  nodeOf(wireguard: Uint8Array): string | undefined {
    return this.keys.get(toBase64(wireguard));
  }

  /** A text says what an honest controller never says. */
  judge(members: MembershipTree, told: JudgedFor, pins: PinCheck): JudgedPeers | string {
    const changes = members.list.changesSince(this.leaves);
    const [removed, put] = [changes.removed, changes.put].map((all) =>
      all.filter(({ nodeId }) => nodeId !== this.own.nodeId),
    ) as [MemberLeaf[], MemberLeaf[]];
    const fault = this.faultIn(removed, put, told);
    if (fault !== undefined) return fault;

    const verdicts = new Map(this.verdicts);
    for (const { nodeId } of removed) verdicts.delete(nodeId);
    // Pins are let go of in time; and a membership is judged anew when there are others.
    const again =
      pins.pins === this.pins
        ? [...verdicts.keys()].map((nodeId) => members.get(nodeId)!)
        : members.leaves;
    const others = new Set(put);
    const looked = [...put, ...again.filter((leaf) => !others.has(leaf))];
    const [gone, accepted]: [string[], AcceptedPeer[]] = [removed.map(idOf), []];
    for (const leaf of looked) {
      const { nodeId } = leaf;
      if (nodeId === this.own.nodeId) continue;
      const record = this.recordOf(leaf);
      const verdict = record === undefined ? 'refused' : pins(record);
      const isKnown = !others.has(leaf) && this.peers.has(nodeId);
      if (verdict === 'fits') verdicts.delete(nodeId);
      else verdicts.set(nodeId, verdict);
      if (record === undefined || verdict === 'refused') gone.push(nodeId);
      else if (!isKnown) accepted.push(acceptedPeer(leaf, record));
    }
    if (!this.takeKeys(gone, accepted)) return 'two nodes have one key';
    this.peers = this.peers.with(gone, accepted);
    this.pins = pins.pins;
    this.verdicts = verdicts;
    this.takeAddresses(removed, put);
    this.takeLeaves(members, removed, put);
    const having = (which: Verdict): string[] =>
      [...verdicts].flatMap(([nodeId, verdict]) => (verdict === which ? [nodeId] : []));
    const { peers, roster } = this;
    return { peers, roster, refused: having('refused'), changed: having('changed') };
  }

  private faultIn(
    removed: readonly MemberLeaf[],
    put: readonly MemberLeaf[],
    { epoch, tunnelAddress, tunnelPrefix }: JudgedFor,
  ): string | undefined {
    const leaving = new Set([...removed, ...put].map(idOf));
    const mine = this.addresses.get(tunnelAddress); // the node's own may be another than before
    if (mine !== undefined && !leaving.has(mine)) return `${mine}: tunnel address given twice`;
    const fresh = new Set([tunnelAddress]);
    for (const { nodeId, entry } of put) {
      const holder = this.addresses.get(entry.tunnelAddress);
      const isTaken = holder !== undefined && !leaving.has(holder);
      if (entry.sinceEpoch > epoch) return `${nodeId}: member since a later epoch`;
      if (isTaken || fresh.has(entry.tunnelAddress)) {
        return `${nodeId}: tunnel address given twice`;
      }
      fresh.add(entry.tunnelAddress);
      if (!inPrefix(entry.tunnelAddress, tunnelPrefix)) {
        return `${nodeId}: tunnel address outside ${tunnelPrefix}`;
      }
    }
    return undefined;
  }

  /** False, with nothing changed, if two of them would have one. */
  private takeKeys(gone: readonly string[], accepted: readonly AcceptedPeer[]): boolean {
    const leaving = new Set([...gone, ...accepted.map(idOf)]);
    const fresh = new Map<string, string>();
    for (const { nodeId, publicKey } of accepted) {
      const key = toBase64(publicKey);
      const holder = this.keys.get(key);
      if (holder !== undefined && !leaving.has(holder)) return false;
      if (fresh.has(key) || equalBytes(publicKey, this.own.wireguardPublic)) return false;
      fresh.set(key, nodeId);
    }
    for (const nodeId of leaving) {
      const before = this.peers.get(nodeId);
      if (before !== undefined) this.keys.delete(toBase64(before.publicKey));
    }
    for (const [key, nodeId] of fresh) this.keys.set(key, nodeId);
    return true;
  }

  private takeAddresses(removed: readonly MemberLeaf[], put: readonly MemberLeaf[]): void {
    for (const { nodeId } of [...removed, ...put]) {
      const before = this.leaves.get(nodeId);
      if (before !== undefined) this.addresses.delete(before.entry.tunnelAddress);
    }
    for (const { nodeId, entry } of put) this.addresses.set(entry.tunnelAddress, nodeId);
  }

  private takeLeaves(
    members: MembershipTree,
    removed: readonly MemberLeaf[],
    put: readonly MemberLeaf[],
  ): void {
    const isNews = ({ nodeId, entry }: MemberLeaf): boolean => {
      const before = this.leaves.get(nodeId)?.entry;
      return (
        before?.tunnelAddress !== entry.tunnelAddress ||
        !equalBytes(before.recordSignature, entry.recordSignature)
      );
    };
    if (removed.length > 0 || put.some(isNews)) {
      this.roster = members.leaves
        .filter(({ nodeId }) => nodeId !== this.own.nodeId)
        .map(({ nodeId, entry }) => ({
          node_id: nodeId,
          tunnel_address: entry.tunnelAddress,
          allowed: true,
        }));
    }
    this.leaves = members.list;
  }
}

const idOf = ({ nodeId }: { readonly nodeId: string }): string => nodeId;

function acceptedPeer({ nodeId, entry }: MemberLeaf, record: KeyRecord): AcceptedPeer {
  const { tunnelAddress, endpoint, candidates, sinceEpoch } = entry;
  return {
    nodeId,
    record,
    publicKey: record.wireguard,
    tunnelAddress,
    endpoint,
    ...(candidates === undefined ? {} : { candidates }),
    sinceEpoch,
  };
}
