import { constantTimeEqual as equal } from '../crypto/bytes.ts';
import type { Checkpoint } from './checkpoint.ts';
import { emptyRoot, type Sha256, verifyConsistency } from './merkle.ts';
import { SIZE_MEDIA_TYPE, type WitnessRequest } from './witness-request.ts';

/** How a witness answers over HTTP, C2SP tlog-witness. */
export interface WitnessAnswer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** An answer in a sentence. */
export function refusal(status: number, why: string): WitnessAnswer {
  return { status, type: 'text/plain; charset=utf-8', body: `${why}\n` };
}

/**
 * Why a checkpoint is not to be cosigned; undefined: it extends all that was.
 *
 * @param told the checkpoint of the request, of which the log's signature was verified
 * @param cosigned the newest that was cosigned of this log; undefined: none
 */
export function refusalOf(
  crypto: Sha256,
  { oldSize, proof }: WitnessRequest,
  told: Checkpoint,
  cosigned: Checkpoint | undefined,
): WitnessAnswer | undefined {
  const { size, root } = cosigned ?? { size: 0, root: emptyRoot(crypto) };
  if (oldSize > told.size) return refusal(400, 'the old size is larger than the checkpoint');
  if (oldSize !== size) return { status: 409, type: SIZE_MEDIA_TYPE, body: `${size}\n` };
  if (oldSize === told.size && !equal(root, told.root)) {
    return refusal(409, `another log of ${size} leaves was cosigned`);
  }
  return verifyConsistency(crypto, oldSize, root, told.size, told.root, proof)
    ? undefined
    : refusal(422, `no proof that the log begins with the ${size} leaves that were cosigned`);
}
