import { toBase64 } from '../../contract/encoding.ts';
import type { KeysAnswer } from '../../contract/epoch/keys-answer.ts';
import { SIGNATURE_TAGS } from '../../contract/http-signature.ts';
import { accepted, type Checked, rejected } from '../../contract/problems.ts';
import type { SealedEpoch } from '../epoch-seals.ts';
import type { EpochView } from '../epoch-view.ts';
import type { Services } from '../services.ts';
import type { NetworkRequest } from './caller.ts';
import { servableView } from './servable.ts';
import { nodeItself } from './signer.ts';

export interface KeysCall {
  readonly nodeId: string;
  readonly request: NetworkRequest;
  /** Version of the membership that the node holds; undefined: none. */
  readonly since: number | undefined;
}

/** What the member that signs the request needs of the present epoch besides its header. */
export async function readKeys(
  services: Services,
  { nodeId, request, since }: KeysCall,
): Promise<Checked<KeysAnswer>> {
  const signer = nodeItself(services, nodeId, request, SIGNATURE_TAGS.keys);
  if (!signer.ok) return signer;
  const now = servableView(services);
  if (!now.ok) return now;
  const { view, keys } = now.value;
  const place = view.places.get(nodeId);
  if (place === undefined) {
    return rejected('not_authorized', { expected: 'a member of the present epoch' });
  }
  const sealing = services.seals.of(view, keys);
  if (sealing === undefined) {
    return rejected('keys_elsewhere', { detail: 'The keys of this epoch are in its configs.' });
  }
  const sealed = await sealing.catch(() => undefined); // a new epoch has begun meanwhile
  if (!sealed) return rejected('not_ready', { detail: 'This epoch is over; ask for the next.' });
  const delta = since === undefined ? null : await services.deltas.since(view, since);
  return accepted(keysAnswer(view, sealed, place, delta));
}

/** What the member at `place` is told. */
export function keysAnswer(
  view: EpochView,
  { seals, sealed, tree }: SealedEpoch,
  place: number,
  delta: KeysAnswer['delta'],
): KeysAnswer {
  return {
    seals,
    delta,
    chunks: delta === null ? view.chunks().map((chunk) => toBase64(chunk.name)) : null,
    sealed: toBase64(sealed[place]!),
    proof: tree.inclusionProof(place).map(toBase64),
  };
}
