import type { EpochDocument } from '../../contract/epoch.ts';
import { replaceFile } from '../../ground/files.ts';
import type { Subscriber } from '../spine.ts';

/**
 * Writes status.json at every epoch, and when there will be none. While one is being written, one more waits: it is made of what
 * holds when its turn comes, so nothing is lost by dropping those in between.
 */
export function statusFileSubscriber(
  path: string,
  document: () => Promise<EpochDocument>,
): Subscriber {
  return {
    name: 'status_file',
    events: ['epoch_committed', 'state_lost'],
    capacity: 1,
    handle: async () => {
      const text = `${JSON.stringify(await document(), null, 2)}\n`;
      await replaceFile(path, text, { mode: 0o644, durable: false });
    },
  };
}
