import {
  type ConfigDocument,
  type ConfigHeader,
  type ConfigPeer,
  configEtag,
  hashOfEntries,
  peerListEntry,
  type RosterEntry,
} from '../contract/config.ts';
import { toBase64 } from '../contract/encoding.ts';
import { type Envelope, PAYLOAD_TYPES, signPayload } from '../contract/envelope.ts';
import { encodeMemberEntry } from '../contract/epoch/member-entry.ts';
import { compareNodeIds } from '../contract/ids.ts';
import { FIRST_PROTOCOL, PROTOCOL } from '../contract/protocol.ts';
import { sealPsks } from '../contract/sealed-psks.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import type { ControllerClock } from './clock.ts';
import type { NodeDirectory } from './directory.ts';
import { type Decision, type Epoch, membersOf, undecided } from './epoch.ts';
import { epochHeaderHash } from './epoch-headers.ts';
import type { EpochKeys } from './psk.ts';
import type { Settings } from './settings.ts';
import type { NodeRecord } from './store/store.ts';

export interface ConfigBuilderOptions {
  readonly directory: NodeDirectory;
  readonly settings: Settings;
  readonly clock: ControllerClock;
  readonly crypto: CryptoProvider;
  readonly meshId: Uint8Array;
  readonly signingSeed: Uint8Array;
  readonly log: { checkpoint(): Promise<string> };
}

interface Member {
  readonly node: NodeRecord;
  readonly json: string;
  /** The same for who speaks the first protocol. */
  readonly jsonOfProtocol1: string;
  /** Its part of what the seal is bound to. */
  readonly entry: Uint8Array;
}

/** What all configs of an epoch say, serialised once: in a mesh of 1,000 that is most of each. */
interface Shared {
  readonly epoch: Epoch;
  /** Of the directory. */
  readonly changes: number;
  readonly decisions: ReadonlyMap<string, Decision>;
  /** Ids in byte order. */
  readonly members: readonly Member[];
  readonly roster: readonly { readonly nodeId: string; readonly json: string }[];
  /** What the config of a node says of the header. */
  readonly headerFor: (nodeId: string) => ConfigHeader | null;
  /** When the newest node was enrolled: tells apart configs that differ in their roster only. */
  readonly newest: number;
}

const encoder = new TextEncoder();

/** Writes, seals and signs the config that answers one request of one node. */
export class ConfigBuilder {
  private readonly options: ConfigBuilderOptions;
  private cached: Shared | undefined;

  constructor(options: ConfigBuilderOptions) {
    this.options = options;
  }

  etag(nodeId: string, epoch: Epoch): string {
    const etag = configEtag(nodeId, epoch.epoch, epoch.version);
    return `${etag.slice(0, -1)}.${this.shared(epoch).newest}"`;
  }

  /** `protocol`: what is spoken with the node, see `protocolSpoken`. */
  async build(
    node: NodeRecord,
    { epoch, keys }: { readonly epoch: Epoch; readonly keys: EpochKeys },
    nonce: string,
    protocol: number,
  ): Promise<Envelope> {
    const { settings, clock, crypto, meshId, signingSeed, log } = this.options;
    const shared = this.shared(epoch);
    const { nodeId } = node;
    const { allowed, reason, explanation } = shared.decisions.get(nodeId) ?? undecided(nodeId);
    const peers = allowed ? shared.members.filter((one) => one.node.nodeId !== nodeId) : [];
    const roster = shared.roster.filter((one) => one.nodeId !== nodeId);
    const sealed = peers.length === 0 ? null : await this.seal(node, epoch, keys, peers);
    const rest: Omit<ConfigDocument, 'protocol' | 'header' | 'checkpoint' | 'peers' | 'roster'> = {
      mesh_id: toBase64(meshId),
      audience: nodeId,
      epoch: epoch.epoch,
      version: epoch.version,
      nonce,
      issued_at: clock.now(),
      lifetime_s: settings.lifetimeS,
      epoch_s: settings.epochS,
      grace_s: settings.graceS,
      allowed,
      reason,
      explanation,
      tunnel_address: node.tunnelAddress,
      tunnel_prefix: settings.tunnelPrefix,
      sealed_psks: sealed,
    };
    const list = (entries: readonly { readonly json: string }[]) =>
      `[${entries.map((one) => one.json).join(',')}]`;
    const isFirst = protocol === FIRST_PROTOCOL;
    const header = shared.headerFor(nodeId);
    const checkpoint = await log.checkpoint();
    const head = isFirst ? rest : { ...rest, protocol: PROTOCOL, header, checkpoint };
    const told = isFirst ? peers.map((one) => ({ json: one.jsonOfProtocol1 })) : peers;
    const json = `${JSON.stringify(head).slice(0, -1)},"peers":${list(told)},"roster":${list(roster)}}`;
    const type = isFirst ? PAYLOAD_TYPES.configOfProtocol1 : PAYLOAD_TYPES.config;
    return signPayload(crypto, signingSeed, type, encoder.encode(json));
  }

  private shared(epoch: Epoch): Shared {
    const { directory, crypto } = this.options;
    const { changes, nodes } = directory;
    if (this.cached?.epoch === epoch && this.cached.changes === changes) return this.cached;
    const since = membersOf(epoch);
    // As members are told of them; where a node has moved since, the next epoch says so.
    const told = new Map(epoch.header?.members.map((entry) => [entry.nodeId, entry]));
    const hash = epoch.header && toBase64(epochHeaderHash(crypto, epoch.header));
    const sorted = [...nodes.values()].sort((a, b) => compareNodeIds(a.nodeId, b.nodeId));
    this.cached = {
      epoch,
      changes,
      decisions: new Map(epoch.decisions.map((one) => [one.nodeId, one])),
      members: sorted.flatMap((node) => {
        const sinceEpoch = since.get(node.nodeId);
        if (sinceEpoch === undefined) return [];
        const { endpoint, candidates } = told.get(node.nodeId) ?? node;
        const peer: ConfigPeer = {
          node_id: node.nodeId,
          record: node.record,
          tunnel_address: node.tunnelAddress,
          endpoint,
          since_epoch: sinceEpoch,
        };
        const jsonOfProtocol1 = JSON.stringify(peer);
        const json = candidates ? JSON.stringify({ ...peer, candidates }) : jsonOfProtocol1;
        return [{ node, json, jsonOfProtocol1, entry: peerListEntry({ ...node, sinceEpoch }) }];
      }),
      roster: sorted.map(({ nodeId, tunnelAddress }) => {
        const allowed = since.has(nodeId);
        const entry: RosterEntry = { node_id: nodeId, tunnel_address: tunnelAddress, allowed };
        return { nodeId, json: JSON.stringify(entry) };
      }),
      headerFor(nodeId) {
        if (hash === undefined) return null;
        const entry = told.get(nodeId);
        return { hash, entry: entry === undefined ? null : toBase64(encodeMemberEntry(entry)) };
      },
      newest: Math.max(0, ...sorted.map((node) => node.enrolledAt)),
    };
    return this.cached;
  }

  private async seal(
    node: NodeRecord,
    { epoch, version }: Epoch,
    keys: EpochKeys,
    peers: readonly Member[],
  ): Promise<ConfigDocument['sealed_psks']> {
    const { crypto, meshId } = this.options;
    const psks = keys.pairs(
      node,
      peers.map((peer) => peer.node),
    );
    const entries = peers.map((peer) => peer.entry);
    const peerList = hashOfEntries(crypto, entries);
    try {
      const context = { meshId, nodeId: node.nodeId, epoch, version, peerList };
      return await sealPsks(node.sealing, psks, context);
    } finally {
      for (const psk of psks) psk.fill(0);
    }
  }
}
