import { equalBytes, fromBase64, toBase64, toBase64Url } from '../contract/encoding.ts';
import type { Header } from '../contract/epoch/header.ts';
import type { KeysAnswer } from '../contract/epoch/keys-answer.ts';
import { recordEnvelopeOf } from '../contract/epoch/member-entry.ts';
import type { MemberLeaf, MembershipTree } from '../contract/epoch/membership-tree.ts';
import { pairPsk } from '../contract/epoch/pair-psk.ts';
import { openRoster, type RosterEntry } from '../contract/epoch/roster.ts';
import { type KeyRecord, openKeyRecord } from '../contract/key-record.ts';
import { PROTOCOL } from '../contract/protocol.ts';
import type { CryptoProvider, X25519PrivateKey } from '../crypto/provider.ts';
import {
  type AcceptedConfig,
  type AcceptedPeer,
  contradictionIn,
  distinctKeys,
  type IgnoredConfig,
  type Judgement,
  type OwnIdentity,
} from './accepted-config.ts';
import { selfFault } from './config-header.ts';
import { openBases } from './epoch-keys.ts';
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

/** A member with what is worked out once for as long as its keys stay the same. */
interface KnownMember {
  /** Undefined: its record is not what its own key has signed. */
  readonly record: KeyRecord | undefined;
  /** Diffie-Hellman with our static key, 32 bytes, secret; undefined for a key of small order. */
  readonly shared: Uint8Array | undefined;
}

/** The membership and the keys of one header. */
interface PresentEpoch {
  readonly header: Header;
  readonly members: MembershipTree;
  /** Of all members but the node itself: worked out when a handshake with that one needs it. */
  readonly psks: ReadonlyMap<string, () => Uint8Array>;
}

/** Works out of leases, headers and sealed keys who is a peer, and with which key. */
export class EpochFollower {
  private readonly options: EpochFollowerOptions;
  private readonly tree: MemberTree;
  /** By the signature of its record: the very bytes, which stay where a member only moves. */
  private readonly known = new WeakMap<Uint8Array, KnownMember>();
  private readonly wireguard: X25519PrivateKey;
  private present: PresentEpoch | undefined;
  private roster: { readonly name: string; readonly list: readonly RosterEntry[] } | undefined;

  constructor(options: EpochFollowerOptions) {
    this.options = options;
    this.tree = new MemberTree(options.crypto);
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
    const roster = this.roster?.list ?? [];
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
    const psks = new Map<string, () => Uint8Array>();
    for (const [place, leaf] of members.leaves.entries()) {
      const { shared } = leaf === self ? {} : this.knownOf(leaf);
      if (shared === undefined) continue;
      psks.set(leaf.entry.nodeId, () =>
        pairPsk(crypto, context, bases(place), shared, self.entry, leaf.entry),
      );
    }
    this.present = { header, members, psks };
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
    const others = (present?.members.leaves ?? []).filter(
      (leaf) => leaf.entry.nodeId !== identity.nodeId,
    );
    const self = present?.members.get(identity.nodeId)?.entry;
    const told = { audience: identity.nodeId, tunnel_address: document.tunnel_address };
    const fault =
      (self && selfFault(identity, told, self)) ??
      contradictionIn({
        ...told,
        tunnel_prefix: document.tunnel_prefix,
        epoch: document.epoch,
        peers: others.map(({ entry }) => ({
          node_id: entry.nodeId,
          tunnel_address: entry.tunnelAddress,
          since_epoch: entry.sinceEpoch,
        })),
      });
    if (fault !== undefined) return ignore('inconsistent', fault);
    const peers: AcceptedPeer[] = [];
    const refusedPeers: string[] = [];
    const changedPeers: string[] = [];
    for (const leaf of others) {
      const { nodeId, tunnelAddress, endpoint, candidates, sinceEpoch } = leaf.entry;
      const { record } = this.knownOf(leaf);
      const psk = present?.psks.get(nodeId);
      const verdict = record && psk ? pins(record) : 'refused';
      if (verdict === 'changed') changedPeers.push(nodeId);
      if (record && psk && verdict !== 'refused') {
        const places = { endpoint, ...(candidates === undefined ? {} : { candidates }) };
        peers.push({ nodeId, record, tunnelAddress, ...places, sinceEpoch, psk });
      } else {
        refusedPeers.push(nodeId);
      }
    }
    if (
      !distinctKeys(
        identity,
        peers.map((peer) => peer.record),
      )
    )
      return ignore('bad_key_record', 'two nodes have one key');
    const members = others.map(({ entry }) => ({
      node_id: entry.nodeId,
      tunnel_address: entry.tunnelAddress,
      allowed: true,
    }));
    const elsewhere = roster.filter((entry) => entry.node_id !== identity.nodeId);
    const config: AcceptedConfig = {
      document: { ...document, issued_at: document.now, lifetime_s: header.document.lifetime_s },
      protocol: PROTOCOL,
      checkpoint: document.checkpoint,
      peers,
      roster: [...members, ...elsewhere],
      header: { hash: header.hash, members: present?.members },
      expiresAt: askedAt + header.document.lifetime_s,
      etag: undefined,
    };
    return { config, refusedPeers, changedPeers };
  }

  private knownOf(leaf: MemberLeaf): KnownMember {
    let known = this.known.get(leaf.entry.recordSignature);
    if (known === undefined) {
      const { crypto, identity } = this.options;
      const envelope = recordEnvelopeOf(crypto, identity.meshId, leaf.entry);
      const opened = openKeyRecord(crypto, envelope);
      const shared = this.wireguard.agree(leaf.entry.wireguard);
      known = { record: opened.ok ? opened.value : undefined, shared };
      this.known.set(leaf.entry.recordSignature, known);
    }
    return known;
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

function ignore(ignored: IgnoredConfig['ignored'], detail: string): IgnoredConfig {
  return { ignored, detail };
}
