import { toBase64 } from '../../contract/encoding.ts';
import { type Envelope, PAYLOAD_TYPES, signEnvelope } from '../../contract/envelope.ts';
import type { LeaseDocument } from '../../contract/epoch/lease.ts';
import { SIGNATURE_TAGS } from '../../contract/http-signature.ts';
import { accepted, type Checked } from '../../contract/problems.ts';
import { undecided } from '../epoch.ts';
import type { Services } from '../services.ts';
import type { NetworkRequest } from './caller.ts';
import { servableView } from './servable.ts';
import { nodeItself } from './signer.ts';

/** The lease of the node that signs the request: what it is now, for the nonce of that request. */
export async function readLease(
  services: Services,
  { nodeId, request }: { readonly nodeId: string; readonly request: NetworkRequest },
): Promise<Checked<Envelope>> {
  const { crypto, clock, settings, meshId, signingSeed, rosters, log } = services;
  const signer = nodeItself(services, nodeId, request, SIGNATURE_TAGS.lease);
  if (!signer.ok) return signer;
  const now = servableView(services);
  if (!now.ok) return now;
  const { view } = now.value;
  const { node, nonce } = signer.value;
  const decision = view.decisions.get(nodeId) ?? undecided(nodeId);
  const document: LeaseDocument = {
    mesh_id: toBase64(meshId),
    audience: nodeId,
    nonce,
    now: clock.now(),
    epoch: view.document.epoch,
    version: view.document.version,
    header: toBase64(view.hash),
    allowed: decision.allowed,
    reason: decision.reason,
    explanation: decision.explanation,
    tunnel_address: node.tunnelAddress,
    tunnel_prefix: settings.tunnelPrefix,
    roster: toBase64(rosters.of(view, decision.allowed).name),
    checkpoint: await log.checkpoint(),
  };
  return accepted(signEnvelope(crypto, signingSeed, PAYLOAD_TYPES.lease, document));
}
