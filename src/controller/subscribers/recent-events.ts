import type { ControllerEventName, StampedEvent } from '../events.ts';
import type { ImmediateSubscriber } from '../spine.ts';

/** Most that is remembered. */
const CAPACITY = 500;

/** So many, and each of so little interest, that people see them only if they ask. */
export const ROUTINE: ReadonlySet<ControllerEventName> = new Set<ControllerEventName>([
  'score_accepted',
  'refused',
]);

/** The newest events since the start, without routine ones, for whoever asks what has happened. */
export class RecentEvents implements ImmediateSubscriber {
  readonly name = 'recent';
  readonly except = ROUTINE;
  private readonly newest: StampedEvent[] = [];

  readonly handle = (event: StampedEvent): void => {
    this.newest.push(event);
    if (this.newest.length > CAPACITY) this.newest.shift();
  };

  /** Oldest first. */
  get all(): readonly StampedEvent[] {
    return this.newest;
  }
}
