import type { Envelope } from '../../contract/envelope.ts';
import { SIGNATURE_TAGS } from '../../contract/http-signature.ts';
import { accepted, type Checked, rejected } from '../../contract/problems.ts';
import { FIRST_PROTOCOL, protocolSpoken } from '../../contract/protocol.ts';
import type { Epoch } from '../epoch.ts';
import type { Services } from '../services.ts';
import type { NetworkRequest } from './caller.ts';
import { servable } from './servable.ts';
import { nodeItself } from './signer.ts';

export interface ConfigCall {
  readonly nodeId: string;
  readonly request: NetworkRequest;
  /** What the node has already. */
  readonly knownEtag?: string | undefined;
  /** Asked before the work is done: whether anybody still waits for it. */
  readonly isWanted: () => boolean;
}

export interface ConfigAnswer {
  readonly etag: string;
  /** Undefined: the node has it already. */
  readonly config: Envelope | undefined;
}

/** The config of the node that signs the request, sealed for it alone. */
export async function readConfig(
  services: Services,
  { nodeId, request, knownEtag, isWanted }: ConfigCall,
): Promise<Checked<ConfigAnswer>> {
  const { governor, configs, configQueue } = services;
  const signer = nodeItself(services, nodeId, request, SIGNATURE_TAGS.config);
  if (!signer.ok) return signer;
  const protocol = protocolSpoken(request.query);
  if (!protocol.ok) return protocol;
  const { node, nonce } = signer.value;
  const asked = servable(governor);
  if (!asked.ok) return asked;
  const elsewhere = keysElsewhere(services, asked.value.epoch, protocol.value);
  if (elsewhere) return elsewhere;
  const etag = configs.etag(nodeId, asked.value.epoch);
  if (knownEtag === etag) return accepted({ etag, config: undefined });
  const built = await configQueue.add(nodeId, isWanted, async () => {
    const now = servable(governor); // there may be a newer epoch than when it was asked for
    if (!now.ok) return now;
    const moved = keysElsewhere(services, now.value.epoch, protocol.value);
    if (moved) return moved;
    const config = await configs.build(node, now.value, nonce, protocol.value);
    return accepted({ etag: configs.etag(nodeId, now.value.epoch), config });
  });
  return built ?? rejected('overloaded', { detail: 'Ask again in a few seconds.' });
}

/** Keys that are sealed for all members at once are not in configs, too: they are other keys. */
function keysElsewhere(
  { views }: Services,
  epoch: Epoch,
  protocol: number,
): Checked<never> | undefined {
  const { keys = 'config' } = views.of(epoch)?.document ?? {};
  if (keys === 'config' || protocol === FIRST_PROTOCOL) return undefined;
  return rejected('keys_elsewhere', { detail: 'Ask for a lease, and for the keys of its epoch.' });
}
