import type { ConfigDocument } from '../contract/config.ts';
import { equalBytes, fromBase64 } from '../contract/encoding.ts';
import type { Header } from '../contract/epoch/header.ts';
import {
  decodeMemberEntry,
  type MemberEntry,
  recordSignatureIn,
} from '../contract/epoch/member-entry.ts';
import { MembershipTree } from '../contract/epoch/membership-tree.ts';
import type { KeyRecord } from '../contract/key-record.ts';
import type { CryptoProvider } from '../crypto/provider.ts';

/** The header that a config names, and the membership that it tells of. */
export interface NamedHeader {
  /** 32 bytes. */
  readonly hash: Uint8Array;
  /** Everybody in it, the node itself too; undefined for a denied node, which is told of nobody. */
  readonly members: MembershipTree | undefined;
}

/** The public keys that everybody else must be told of this node. */
export interface OwnKeys {
  readonly wireguardPublic: Uint8Array;
  readonly signingPublic: Uint8Array;
  readonly sealingPublic: Uint8Array;
}

/**
 * Puts together the membership that a config tells of; `records` are those of its peers. Undefined if
 * it names no header; a text says what an honest controller never says.
 */
export function namedHeader(
  crypto: CryptoProvider,
  own: OwnKeys,
  document: ConfigDocument,
  records: readonly KeyRecord[],
): NamedHeader | undefined | string {
  if (document.header === null) return undefined;
  const hash = fromBase64(document.header.hash, 32)!;
  const { entry } = document.header;
  if ((entry !== null) !== document.allowed)
    return 'an entry for a denied node, or none for a member';
  if (entry === null) return { hash, members: undefined };
  const bytes = fromBase64(entry);
  const self = bytes && decodeMemberEntry(bytes);
  if (!self) return 'the entry of this node cannot be read';
  const fault = selfFault(own, document, self);
  if (fault !== undefined) return fault;
  const peers = document.peers.map((peer, i): MemberEntry => {
    const record = records[i]!;
    return {
      ...record,
      recordSignature: recordSignatureIn(crypto, peer.record, record.signing),
      tunnelAddress: peer.tunnel_address,
      endpoint: peer.endpoint,
      ...(peer.candidates === undefined ? {} : { candidates: peer.candidates }),
      sinceEpoch: peer.since_epoch,
    };
  });
  return { hash, members: MembershipTree.empty(crypto).replacedBy([...peers, self]) };
}

/** Why a config is not one of that header's epoch; undefined if it is. */
export function misfit(
  { epoch, version }: Pick<ConfigDocument, 'epoch' | 'version'>,
  { members }: NamedHeader,
  header: Header,
): string | undefined {
  const { document } = header;
  if (document.epoch !== epoch || document.version !== version) {
    return `it names the header of ${document.epoch}.${document.version}`;
  }
  if (members === undefined) return undefined;
  if (members.count !== document.count) {
    return `it tells of ${members.count} members, its header of ${document.count}`;
  }
  return equalBytes(members.root, header.membersRoot)
    ? undefined
    : 'its members are not those of its header';
}

/** Others are told of this node what it knows of itself. */
export function selfFault(
  own: OwnKeys,
  document: Pick<ConfigDocument, 'audience' | 'tunnel_address'>,
  self: MemberEntry,
): string | undefined {
  if (self.nodeId !== document.audience || self.tunnelAddress !== document.tunnel_address) {
    return 'others are told another name or address of this node';
  }
  const fits =
    equalBytes(self.wireguard, own.wireguardPublic) &&
    equalBytes(self.signing, own.signingPublic) &&
    equalBytes(self.sealing, own.sealingPublic);
  return fits ? undefined : 'others are told other keys of this node';
}
