import type { Envelope } from '../../contract/envelope.ts';
import { SIGNATURE_TAGS } from '../../contract/http-signature.ts';
import { accepted, type Checked, rejected } from '../../contract/problems.ts';
import type { Services } from '../services.ts';
import type { Caller } from './caller.ts';
import { enrolledOnly } from './readers.ts';

/**
 * The signed header of an epoch that is still kept; without `epoch` of the present one. For every
 * enrolled node, members and denied ones alike.
 */
export async function readHeader(
  services: Services,
  caller: Caller,
  epoch: number | undefined,
): Promise<Checked<Envelope>> {
  const { governor, store } = services;
  const allowed = await enrolledOnly(services, caller, SIGNATURE_TAGS.header);
  if (!allowed.ok) return allowed;
  if (epoch === undefined) {
    const present = governor.current?.header?.envelope;
    const detail = 'No epoch with a header has been committed yet.';
    return present ? accepted(present) : rejected('not_ready', { detail });
  }
  const earlier = await store.header(epoch);
  return earlier ? accepted(earlier) : rejected('header_unknown', { field: 'epoch' });
}
