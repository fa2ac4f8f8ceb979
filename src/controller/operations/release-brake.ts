import type { BrakeReleased } from '../../contract/admin.ts';
import { accepted, type Checked, rejected } from '../../contract/problems.ts';
import { checked } from '../problem-error.ts';
import type { Services } from '../services.ts';
import { atLeast } from './authorise.ts';
import type { Caller } from './caller.ts';
import { NEEDED } from './needed-roles.ts';
import { noteAsked } from './note-asked.ts';

/** An operator's word that the members which the brake holds have really failed: they go at once. */
export async function releaseBrake(
  services: Services,
  caller: Caller,
): Promise<Checked<BrakeReleased>> {
  const actor = await atLeast(services, caller, NEEDED.releaseBrake);
  if (!actor.ok) return actor;
  const { governor, emit } = services;
  await noteAsked(services, actor.value, 'release_brake');
  const released = await checked(() => governor.releaseBrake());
  if (!released.ok) return released;
  if (released.value === undefined) return rejected('brake_holds_nobody');
  const { epoch, version, removed } = released.value;
  emit({ event: 'brake_released', epoch, version, removed });
  return accepted({ epoch, version, removed });
}
