import type { RotateAnswer } from '../../contract/admin.ts';
import { accepted, type Checked } from '../../contract/problems.ts';
import { checked } from '../problem-error.ts';
import type { Services } from '../services.ts';
import { atLeast } from './authorise.ts';
import type { Caller } from './caller.ts';
import { NEEDED } from './needed-roles.ts';
import { noteAsked } from './note-asked.ts';

/** Starts a new epoch at once. */
export async function rotate(services: Services, caller: Caller): Promise<Checked<RotateAnswer>> {
  const actor = await atLeast(services, caller, NEEDED.rotate);
  if (!actor.ok) return actor;
  const { governor, emit } = services;
  await noteAsked(services, actor.value, 'rotate');
  const rotated = await checked(() => governor.rotate());
  if (!rotated.ok) return rotated;
  const { epoch, version } = rotated.value;
  emit({ event: 'rotated', epoch, version });
  return accepted({ epoch, version });
}
