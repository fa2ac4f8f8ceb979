import { equalBytes, fromBase64, toBase64, toBase64Url } from '../contract/encoding.ts';
import type { Header } from '../contract/epoch/header.ts';
import type { KeysAnswer } from '../contract/epoch/keys-answer.ts';
import { recordEnvelopeOf } from '../contract/epoch/member-entry.ts';
import type { MemberLeaf, MembershipTree } from '../contract/epoch/membership-tree.ts';
import { pairPsk } from '../contract/epoch/pair-psk.ts';
import { openRoster, type RosterEntry } from '../contract/epoch/roster.ts';
import { type KeyRecord, openKeyRecord } from '../contract/key-record.ts';
import { NodeList } from '../contract/node-list.ts';
import { PROTOCOL } from '../contract/protocol.ts';
import type { CryptoProvider, X25519PrivateKey } from '../crypto/provider.ts';
import type { EpochKeys } from '../tunnel/create-tunnel.ts';
import type { AcceptedConfig, IgnoredConfig, Judgement, OwnIdentity } from './accepted-config.ts';
import { selfFault } from './config-header.ts';
import { openBases } from './epoch-keys.ts';
import { JudgedMembers, type JudgedPeers } from './judged-members.ts';
import type { Lease } from './lease.ts';
import { type FetchPiece, MemberTree } from './member-tree.ts';
import type { PinCheck } from './pins.ts';

export interface EpochFollowerOptions {
  readonly crypto: CryptoProvider;
  readonly identity: OwnIdentity;
  /** Asks for what a member needs of the present epoch. */
  readonly fetchKeys: (since: number | undefined) => Promise<unknown>;
  readonly fetchPiece: FetchPiece;
  /** Reads what came as an answer; undefined if it is none. */
  readonly readKeys: (value: unknown) => KeysAnswer | undefined;
}

/** The membership and the keys of one header. */
interface PresentEpoch {
  readonly header: Header;
  readonly members: MembershipTree;
  /** Of all members but the node itself. */
  readonly keys: EpochKeys;
}

/** Works out of leases, headers and sealed keys who is a peer, and with which key. */
export class EpochFollower {
  private readonly options: EpochFollowerOptions;
  private readonly tree: MemberTree;
  private readonly judgedMembers: JudgedMembers;
  /**
   * By the signature of a member's record, the very bytes, which stay where it only moves: what is worked out
   * once for as long as its keys stay the same. Undefined: its record is not what its own key has signed.
   */
  private readonly records = new WeakMap<Uint8Array, KeyRecord | undefined>();
  private readonly shared = new WeakMap<Uint8Array, Uint8Array>();
  private readonly wireguard: X25519PrivateKey;
  private present: PresentEpoch | undefined;
  private roster: { readonly name: string; readonly list: readonly RosterEntry[] } | undefined;
  private listed: Record<'members' | 'elsewhere' | 'all', readonly RosterEntry[]> | undefined;

  constructor(options: EpochFollowerOptions) {
    this.options = options;
    this.tree = new MemberTree(options.crypto);
    this.judgedMembers = new JudgedMembers(options.identity, (leaf) => this.recordOf(leaf));
    this.wireguard = options.crypto.x25519PrivateKey(options.identity.wireguard);
  }

  /** What a lease puts in force; `header` is the one that it names, taken. */
  async follow(lease: Lease, header: Header, pins: PinCheck): Promise<Judgement> {
    const { document } = lease;
    if (document.epoch !== header.document.epoch || document.version !== header.document.version) {
      return ignore('inconsistent', 'its header is of another epoch');
    }
    const roster = await this.rosterOf(document.roster);
    if (roster === undefined) return ignore('inconsistent', 'its list of nodes cannot be had');
    if (!document.allowed) return this.judged(lease, header, undefined, roster, pins);
    const present = await this.epochOf(header);
    if ('ignored' in present) return present;
    return this.judged(lease, header, present, roster, pins);
  }

  /**
   * Goes on to a newer header with what was pushed, under the lease that there is: nothing lives longer
   * for it. Undefined: what was pushed does not lead there, and is to be asked for.
   */
  async pushed(
    lease: Lease,
    header: Header,
    answer: KeysAnswer,
    pins: PinCheck,
  ): Promise<Judgement | undefined> {
    const { epoch, version } = header.document;
    const document = { ...lease.document, epoch, version };
    const members = await this.tree.goTo(header, answer, async () => undefined);
    const present = members && this.opened(header, members, answer);
    if (present === undefined || 'ignored' in present) return undefined;
    const roster = this.roster?.list ?? NO_ROSTER;
    return this.judged({ ...lease, document }, header, present, roster, pins);
  }

  private async epochOf(header: Header): Promise<PresentEpoch | IgnoredConfig> {
    if (this.present && equalBytes(this.present.header.hash, header.hash)) return this.present;
    const { fetchKeys, fetchPiece, readKeys } = this.options;
    const { version } = this.tree;
    for (const since of version === undefined ? [undefined] : [version, undefined]) {
      const answer = readKeys(await fetchKeys(since));
      if (answer === undefined) return ignore('malformed', 'these are no keys of an epoch');
      const members = await this.tree.goTo(header, answer, fetchPiece);
      if (members !== undefined) return this.opened(header, members, answer);
    }
    return ignore('wrong_members', 'what is told of the members is not what the header says');
  }

  private opened(
    header: Header,
    members: MembershipTree,
    answer: KeysAnswer,
  ): PresentEpoch | IgnoredConfig {
    const { crypto, identity } = this.options;
    const self = members.get(identity.nodeId);
    if (self === undefined) return ignore('wrong_members', 'this node is not among the members');
    const bases = openBases(crypto, identity, header, members, answer);
    if (typeof bases === 'string') return ignore('bad_seal', bases);
    const context = {
      meshId: identity.meshId,
      epoch: header.document.epoch,
      membersRoot: header.membersRoot,
    };
    const presharedKeyOf = (publicKey: Uint8Array): Uint8Array | undefined => {
      const nodeId = this.judgedMembers.nodeOf(publicKey);
      const place = nodeId === undefined ? -1 : members.list.placeOf(nodeId);
      const leaf = members.leaves[place];
      // In a later epoch it may be another's, or nobody's.
      if (leaf === undefined || !equalBytes(leaf.entry.wireguard, publicKey)) return undefined;
      const shared = this.sharedWith(leaf);
      return shared && pairPsk(crypto, context, bases(place), shared, self.entry, leaf.entry);
    };
    const keys: EpochKeys = { generation: context.epoch, presharedKeyOf };
    this.present = { header, members, keys };
    return this.present;
  }

  private judged(
    { document, askedAt }: Lease,
    header: Header,
    present: PresentEpoch | undefined,
    roster: readonly RosterEntry[],
    pins: PinCheck,
  ): Judgement {
    const { identity } = this.options;
    const { epoch, tunnel_address: tunnelAddress, tunnel_prefix: tunnelPrefix } = document;
    const self = present?.members.get(identity.nodeId)?.entry;
    const told = { audience: identity.nodeId, tunnel_address: tunnelAddress };
    const fault = self && selfFault(identity, told, self);
    if (fault !== undefined) return ignore('inconsistent', fault);
    const judged = present
      ? this.judgedMembers.judge(present.members, { epoch, tunnelAddress, tunnelPrefix }, pins)
      : NOBODY;
    if (typeof judged === 'string') return ignore('inconsistent', judged);
    const config: AcceptedConfig = {
      document: { ...document, issued_at: document.now, lifetime_s: header.document.lifetime_s },
      protocol: PROTOCOL,
      checkpoint: document.checkpoint,
      peers: judged.peers,
      ...(present && { keys: present.keys }),
      roster: this.everybody(judged.roster, roster),
      header: { hash: header.hash, members: present?.members },
      expiresAt: askedAt + header.document.lifetime_s,
      etag: undefined,
    };
    return { config, refusedPeers: judged.refused, changedPeers: judged.changed };
  }

  /** The same list again for the same ones. */
  private everybody(
    members: readonly RosterEntry[],
    elsewhere: readonly RosterEntry[],
  ): readonly RosterEntry[] {
    const { nodeId } = this.options.identity;
    if (this.listed?.members !== members || this.listed.elsewhere !== elsewhere) {
      const others = elsewhere.filter((entry) => entry.node_id !== nodeId);
      this.listed = { members, elsewhere, all: [...members, ...others] };
    }
    return this.listed.all;
  }

  private recordOf(leaf: MemberLeaf): KeyRecord | undefined {
    const { recordSignature } = leaf.entry;
    if (!this.records.has(recordSignature)) {
      const { crypto, identity } = this.options;
      const opened = openKeyRecord(crypto, recordEnvelopeOf(crypto, identity.meshId, leaf.entry));
      this.records.set(recordSignature, opened.ok ? opened.value : undefined);
    }
    return this.records.get(recordSignature);
  }

  /** Diffie-Hellman of both static keys, 32 bytes, secret; undefined for a key of small order. */
  private sharedWith({ entry }: MemberLeaf): Uint8Array | undefined {
    let shared = this.shared.get(entry.recordSignature);
    if (shared === undefined) {
      shared = this.wireguard.agree(entry.wireguard);
      if (shared !== undefined) this.shared.set(entry.recordSignature, shared);
    }
    return shared;
  }

  private async rosterOf(name: string): Promise<readonly RosterEntry[] | undefined> {
    if (this.roster?.name === name) return this.roster.list;
    const hash = fromBase64(name, 32)!;
    const bytes = await this.options.fetchPiece(toBase64Url(hash));
    const list = bytes && openRoster(this.options.crypto, hash, bytes);
    if (list) this.roster = { name: toBase64(hash), list };
    return list;
  }
}

const NO_ROSTER: readonly RosterEntry[] = [];
const NOBODY: JudgedPeers = { peers: NodeList.of<never>([]), refused: [], changed: [], roster: [] };

function ignore(ignored: IgnoredConfig['ignored'], detail: string): IgnoredConfig {
  return { ignored, detail };
}
