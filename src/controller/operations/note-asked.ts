import type { AskedChange } from '../../contract/record/leaf.ts';
import type { Services } from '../services.ts';
import type { Actor } from './authorise.ts';

/**
 * Writes down who asked for a change, before it is made and once nothing stands against it: in the log
 * of the mesh for good, and as an event.
 */
export async function noteAsked(
  { store, clock, emit }: Services,
  { by }: Pick<Actor, 'by'>,
  what: AskedChange,
  about: string | null = null,
): Promise<void> {
  const event = { event: 'asked', by, what, about } as const;
  await store.record(clock.now(), event);
  emit(event);
}
