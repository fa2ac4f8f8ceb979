import { SIGNATURE_TAGS, type SignatureTag } from '../../contract/http-signature.ts';
import { accepted, type Checked, rejected } from '../../contract/problems.ts';
import { protocolSpoken } from '../../contract/protocol.ts';
import type { ClaimSurroundings } from '../endpoint-claims.ts';
import { membersOf } from '../epoch.ts';
import type { Services } from '../services.ts';
import type { NodeRecord } from '../store/store.ts';
import { settle, withinBudget } from './accounting.ts';

/** Purposes that prove no presence: whoever only looks may have no config. */
const READING: ReadonlySet<SignatureTag> = new Set([SIGNATURE_TAGS.epoch, SIGNATURE_TAGS.header]);

/** Where a request came from, and where it was sent to. */
export type Arrival = Pick<ClaimSurroundings, 'from' | 'to'>;

/** A request over the network, as far as a signature (RFC 9421) covers it, and its headers. */
export interface NetworkRequest {
  readonly method: string;
  /** In lower case. */
  readonly authority: string;
  readonly path: string;
  /** With its question mark, also where there is nothing behind it. */
  readonly query: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly arrival: Arrival;
}

/** Who asks for what not everybody may have. */
export type Caller =
  /** Whoever could open the admin socket. */
  | { readonly kind: 'admin' }
  /** Whoever reaches the address that is for monitors. */
  | { readonly kind: 'monitor' }
  /** `isLocal`: on this machine, asking for itself. */
  | { readonly kind: 'network'; readonly isLocal: boolean; readonly request: NetworkRequest };

/** A node that signed a request, and the nonce that it signed. */
export interface Signer {
  readonly node: NodeRecord;
  readonly nonce: string;
}

/** For what only admins may do. */
export function adminOnly(caller: Caller): Checked<null> {
  if (caller.kind === 'admin') return accepted(null);
  return rejected('not_authorized', { expected: 'an admin' });
}

/** For the state of the mesh: admins, monitors, members, and callers on this machine if the settings say so. */
export function readersOnly(services: Services, caller: Caller): Checked<null> {
  if (caller.kind !== 'network') return accepted(null);
  const { settings, governor } = services;
  if (settings.epochOnLoopback && caller.isLocal) return accepted(null);
  const signer = signerOf(services, caller.request, SIGNATURE_TAGS.epoch);
  if (!signer.ok) return signer;
  if (membersOf(governor.current).has(signer.value.node.nodeId)) return accepted(null);
  return rejected('not_authorized', { expected: 'a member of the present epoch' });
}

/** For what every enrolled node may see, denied ones too; `tag` is what it must sign for. */
export function enrolledOnly(
  services: Services,
  caller: Caller,
  tag: SignatureTag,
): Checked<unknown> {
  const isHere = caller.kind === 'network' && services.settings.epochOnLoopback && caller.isLocal;
  if (caller.kind !== 'network' || isHere) return accepted(null);
  return signerOf(services, caller.request, tag);
}

/** The node `nodeId`, which must be the one that signed the request for the purpose `tag`. */
export function nodeItself(
  services: Services,
  nodeId: string,
  request: NetworkRequest,
  tag: SignatureTag,
): Checked<Signer> {
  const signer = signerOf(services, request, tag);
  if (!signer.ok || signer.value.node.nodeId === nodeId) return signer;
  const expected = 'the node that signed the request';
  return rejected('wrong_node', { field: 'node_id', expected });
}

/** The enrolled node that signed the request for the purpose `tag`. */
export function signerOf(
  services: Services,
  request: NetworkRequest,
  tag: SignatureTag,
): Checked<Signer> {
  const { auth, directory, streams, presence } = services;
  const nodeOfKey = (keyid: string) => directory.nodeOfKey(keyid);
  const keyid = /keyid="([^"]*)"/.exec(String(request.headers['signature-input']))?.[1] ?? '';
  const account = { from: request.arrival.from, keyid };
  const budget = withinBudget(services, account);
  if (!budget.ok) return budget;
  const verified = auth.verify(nodeOfKey, request, request.headers, tag);
  const signer = settle(services, account, verified);
  if (!signer.ok) {
    if (!directory.wasRemoved(keyid)) return signer;
    return rejected('node_removed', { detail: 'To come back it needs a join token, as at first.' });
  }
  const { nodeId } = signer.value.node;
  streams.seen(nodeId);
  if (READING.has(tag)) return signer;
  const protocol = protocolSpoken(request.query);
  if (!protocol.ok) return protocol;
  presence.add(nodeId, protocol.value);
  return signer;
}
