import type { Envelope } from '../../contract/envelope.ts';
import type { ImmediateSubscriber } from '../spine.ts';
import type { StreamHub } from '../stream-hub.ts';

/**
 * Tells the nodes that listen of every epoch; whoever was removed hears of it and is cut off. `header`:
 * of the epoch in force.
 */
export function pushSubscriber(
  streams: StreamHub,
  header: () => Envelope | undefined,
): ImmediateSubscriber {
  return {
    name: 'push',
    events: ['epoch_committed', 'removed', 'lapsed'],
    handle: (event) => {
      if (event.event === 'epoch_committed') streams.publish(event, header());
      if (event.event === 'removed' || event.event === 'lapsed') streams.drop(event.node);
    },
  };
}
