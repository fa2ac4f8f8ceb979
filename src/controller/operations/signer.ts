import { SIGNATURE_TAGS, type SignatureTag } from '../../contract/http-signature.ts';
import { type Checked, rejected } from '../../contract/problems.ts';
import { protocolSpoken } from '../../contract/protocol.ts';
import type { Services } from '../services.ts';
import { settle, withinBudget } from './accounting.ts';
import type { NetworkRequest, Signer } from './caller.ts';
import { oncePerRequest } from './once.ts';

/** Purposes that prove no presence: whoever only looks may have no config. */
const READING: ReadonlySet<SignatureTag> = new Set([SIGNATURE_TAGS.epoch, SIGNATURE_TAGS.header]);

const signers = oncePerRequest<Checked<Signer>>();

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
  return signers(request, tag, () => verified(services, request, tag));
}

function verified(services: Services, request: NetworkRequest, tag: SignatureTag): Checked<Signer> {
  const { auth, directory, streams, presence } = services;
  const nodeOfKey = (keyid: string) => directory.nodeOfKey(keyid);
  const keyid = /keyid="([^"]*)"/.exec(String(request.headers['signature-input']))?.[1] ?? '';
  const account = { from: request.arrival.from, keyid };
  const budget = withinBudget(services, account);
  if (!budget.ok) return budget;
  const found = auth.verify(nodeOfKey, request, request.headers, tag);
  const signer = settle(services, account, found);
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
