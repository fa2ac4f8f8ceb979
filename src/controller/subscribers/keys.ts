import { KEYS_EVENT_NAME } from '../../contract/epoch/keys-answer.ts';
import { keysAnswer } from '../operations/read-keys.ts';
import { servableView } from '../operations/servable.ts';
import type { Services } from '../services.ts';
import type { Subscriber } from '../spine.ts';

/** Messages are written for so long (ms) before others have a turn. */
const SLICE_MS = 10;

/**
 * Sends each member that listens what it needs of a new epoch. Whoever is removed was told before: this
 * comes from a queue, and of several epochs that wait only the newest matters.
 */
export function keysSubscriber(services: Services): Subscriber {
  const { streams, seals, deltas, governor } = services;
  return {
    name: 'keys',
    events: ['epoch_committed'],
    capacity: 1,
    handle: async () => {
      const now = servableView(services);
      if (!now.ok) return;
      const { view, keys } = now.value;
      const sealed = await seals.of(view, keys)?.catch(() => undefined);
      if (sealed === undefined) return;
      const { epoch, version } = view.document;
      const delta = await deltas.since(view, version - 1);
      let since = performance.now();
      for (const [nodeId, place] of view.places) {
        if (governor.current !== view.epoch) return;
        if (!streams.has(nodeId)) continue;
        const answer = keysAnswer(view, sealed, place, delta);
        streams.send(nodeId, KEYS_EVENT_NAME, `${epoch}.${version}`, answer);
        if (performance.now() - since < SLICE_MS) continue;
        await new Promise((resolve) => setImmediate(resolve));
        since = performance.now();
      }
    },
  };
}
