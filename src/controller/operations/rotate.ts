import type { RotateAnswer } from '../../contract/admin.ts';
import { accepted, type Checked } from '../../contract/problems.ts';
import { checked } from '../problem-error.ts';
import type { Services } from '../services.ts';
import { adminOnly, type Caller } from './caller.ts';

/** Starts a new epoch at once. */
export async function rotate(
  { governor, emit }: Services,
  caller: Caller,
): Promise<Checked<RotateAnswer>> {
  const allowed = adminOnly(caller);
  if (!allowed.ok) return allowed;
  const rotated = await checked(() => governor.rotate());
  if (!rotated.ok) return rotated;
  const { epoch, version } = rotated.value;
  emit({ event: 'rotated', epoch, version });
  return accepted({ epoch, version });
}
