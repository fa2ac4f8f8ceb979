import type { WitnessClient } from '../record/witness-client.ts';
import type { Subscriber } from '../spine.ts';

/** Has every epoch cosigned. While a witness is asked one more waits: it is asked about what holds then. */
export function witnessSubscriber(client: WitnessClient): Subscriber {
  return {
    name: `witness ${client.witness.key.name}`,
    events: ['epoch_committed'],
    capacity: 1,
    handle: () => client.ask(),
  };
}
