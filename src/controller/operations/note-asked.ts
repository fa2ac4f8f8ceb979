import type { Asked } from '../../contract/record/leaf.ts';
import type { Services } from '../services.ts';
import type { Actor } from './authorise.ts';

/**
 * Writes down who asked for a change, before it is made and once nothing stands against it: in the log
 * of the mesh for good, and as an event.
 */
export async function noteAsked(
  { store, clock, emit }: Services,
  { by }: Pick<Actor, 'by'>,
  what: Asked['what'],
  about: string | null = null,
): Promise<void> {
  await store.recordAsked(clock.now(), { by, what, about });
  emit({ event: 'asked', by, what, about });
}
