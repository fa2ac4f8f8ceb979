import type { RotateAnswer } from '../../contract/admin.ts';
import { compareVersions } from '../../contract/config.ts';
import { toBase64 } from '../../contract/encoding.ts';
import { PAYLOAD_TYPES, readEnvelope, verifiedSigner } from '../../contract/envelope.ts';
import { headerSchema } from '../../contract/epoch/header.ts';
import { accepted, type Checked, rejected } from '../../contract/problems.ts';
import { streamEventSchema } from '../../contract/stream-event.ts';
import type { Services } from '../services.ts';
import { settle, withinBudget } from './accounting.ts';

export interface SeenCall {
  /** An envelope, unchecked. */
  readonly body: unknown;
  /** Address that it came from. */
  readonly from: string;
}

/**
 * A node that was given something older than it has seen shows what it has seen: the header or the event
 * of an epoch, signed by this controller. So one node is enough to tell that the state is an older one, and nobody can
 * claim that it is. Answers with the present epoch.
 */
export async function reportSeen(
  services: Services,
  { body, from }: SeenCall,
): Promise<Checked<RotateAnswer>> {
  const account = { from };
  const budget = withinBudget(services, account);
  return budget.ok ? settle(services, account, await examine(services, body)) : budget;
}

async function examine(
  { governor, crypto, meshId, signingSeed }: Services,
  body: unknown,
): Promise<Checked<RotateAnswer>> {
  const { payloadType } = (body ?? {}) as { readonly payloadType?: unknown };
  const read =
    payloadType === PAYLOAD_TYPES.header
      ? readEnvelope(body, PAYLOAD_TYPES.header, headerSchema)
      : readEnvelope(body, PAYLOAD_TYPES.streamEvent, streamEventSchema);
  if (!read.ok) return read;
  const { mesh_id, epoch, version } = read.value.document;
  if (mesh_id !== toBase64(meshId)) {
    return rejected('wrong_mesh', { field: 'mesh_id', expected: 'the id of this mesh' });
  }
  const present = () => {
    const { epoch = 0, version = 0 } = governor.current ?? {};
    return { epoch, version };
  };
  if (compareVersions({ epoch, version }, present()) > 0) {
    if (!verifiedSigner(crypto, read.value, [crypto.ed25519Public(signingSeed)])) {
      return rejected('envelope_signature', { expected: 'a signature by this controller' });
    }
    await governor.signedBefore({ epoch, version });
  }
  return accepted(present());
}
