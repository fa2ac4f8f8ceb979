import { toBase64 } from '../contract/encoding.ts';
import { PAYLOAD_TYPES, signEnvelope } from '../contract/envelope.ts';
import {
  type HeaderChanges,
  type HeaderDocument,
  headerHash,
  MAX_LISTED_CHANGES,
} from '../contract/epoch/header.ts';
import { type MemberEntry, recordSignatureIn } from '../contract/epoch/member-entry.ts';
import { MembershipTree } from '../contract/epoch/membership-tree.ts';
import { TO_MEMBERS } from '../contract/fields.ts';
import { FIRST_PROTOCOL } from '../contract/protocol.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import { type Epoch, type EpochHeader, membersOf } from './epoch.ts';
import type { PublishedLog } from './record/published-log.ts';
import type { Settings } from './settings.ts';
import type { NodeRecord } from './store/store.ts';

export interface EpochHeadersOptions {
  readonly crypto: CryptoProvider;
  readonly settings: Settings;
  readonly meshId: Uint8Array;
  readonly signingSeed: Uint8Array;
  /** What was spoken with a node last; undefined if it was not heard. */
  readonly protocolOf: (nodeId: string) => number | undefined;
  readonly log: Pick<PublishedLog, 'ownCheckpoint'>;
}

/** Makes and signs the header of each epoch before it is committed. */
export class EpochHeaders {
  private readonly options: EpochHeadersOptions;
  /** Of the last header that was made or asked for: what has not changed is not hashed again. */
  private newest: { readonly header: EpochHeader; readonly tree: MembershipTree } | undefined;

  constructor(options: EpochHeadersOptions) {
    this.options = options;
  }

  /** The header of `next`, which follows `previous`. `nodes`: everybody that `next` judges. */
  async sign(
    previous: Epoch | undefined,
    next: Epoch,
    nodes: ReadonlyMap<string, NodeRecord>,
  ): Promise<EpochHeader> {
    const { crypto, settings, meshId, signingSeed, log } = this.options;
    const before = this.treeOf(previous?.header);
    const tree = before.replacedBy(
      [...membersOf(next)].map(([nodeId, since]) => this.entryOf(nodes.get(nodeId)!, since)),
    );
    const document: HeaderDocument = {
      mesh_id: toBase64(meshId),
      audience: TO_MEMBERS,
      epoch: next.epoch,
      version: next.version,
      previous: previous?.header ? toBase64(epochHeaderHash(crypto, previous.header)) : null,
      issued_at: next.startedAt,
      epoch_s: settings.epochS,
      lifetime_s: settings.lifetimeS,
      grace_s: settings.graceS,
      count: tree.count,
      members_root: toBase64(tree.root),
      keys: this.keysOf(tree),
      changes: listed(tree, before, next.removed),
      checkpoint: await log.ownCheckpoint(),
    };
    const envelope = signEnvelope(crypto, signingSeed, PAYLOAD_TYPES.header, document);
    const members = tree.leaves.map((leaf) => leaf.entry);
    const header = { envelope, members };
    this.newest = { header, tree };
    return header;
  }

  /** The membership that a header names; the empty one without a header. */
  treeOf(header: EpochHeader | undefined): MembershipTree {
    const { crypto } = this.options;
    if (header === undefined) return MembershipTree.empty(crypto);
    if (this.newest?.header !== header) {
      const tree = MembershipTree.empty(crypto).replacedBy(header.members);
      this.newest = { header, tree };
    }
    return this.newest.tree;
  }

  /** Keys are sealed for all at once if every member can open them. */
  private keysOf({ count, leaves }: MembershipTree): HeaderDocument['keys'] {
    const { settings, protocolOf } = this.options;
    if (settings.pairwiseUpTo === null) return 'config';
    const old = leaves.some(
      ({ entry }) => (protocolOf(entry.nodeId) ?? FIRST_PROTOCOL) === FIRST_PROTOCOL,
    );
    if (old || count === 0) return 'config';
    return count <= settings.pairwiseUpTo ? 'pairwise' : 'group';
  }

  private entryOf(node: NodeRecord, sinceEpoch: number): MemberEntry {
    const { nodeId, wireguard, signing, sealing, tunnelAddress, endpoint, candidates } = node;
    const recordSignature = recordSignatureIn(this.options.crypto, node.record, signing);
    const keys = { wireguard, signing, sealing, recordSignature };
    const places = { endpoint, ...(candidates === undefined ? {} : { candidates }) };
    return { nodeId, ...keys, tunnelAddress, ...places, sinceEpoch };
  }
}

/** Name (32 bytes) of an epoch's header. */
export function epochHeaderHash(crypto: CryptoProvider, { envelope }: EpochHeader): Uint8Array {
  return headerHash(crypto, Buffer.from(envelope.payload, 'base64'));
}

function listed(
  tree: MembershipTree,
  before: MembershipTree,
  removed: readonly string[],
): HeaderChanges {
  const { added, changed } = tree.changesSince(before);
  if (added.length + changed.length > MAX_LISTED_CHANGES) {
    return { removed, added: null, changed: null };
  }
  return { removed, added, changed };
}
