import type { Cosigning } from '../record/cosigning.ts';
import type { WitnessClient } from '../record/witness-client.ts';
import type { Subscriber } from '../spine.ts';

/** Has every epoch cosigned. While a witness is asked one more waits: it is asked about what holds then. */
export function witnessSubscriber(client: WitnessClient, cosigning: Cosigning): Subscriber {
  const { name } = client.witness.key;
  return {
    name: `witness ${name}`,
    events: ['epoch_committed'],
    capacity: 1,
    handle: () => cosigning.asked(name, () => client.ask()),
  };
}
