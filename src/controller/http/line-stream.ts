import type { ServerResponse } from 'node:http';
import type { EventSink } from '../operations/read-events.ts';
import { LINES_MEDIA_TYPE } from './media-types.ts';

/** Begins to answer with lines that never end. */
export function lineStream(raw: ServerResponse): EventSink {
  raw.writeHead(200, { 'content-type': LINES_MEDIA_TYPE, 'cache-control': 'no-store' });
  raw.flushHeaders();
  raw.on('error', () => raw.destroy());
  return {
    end: () => void raw.end(),
    write: (text) => {
      if (raw.destroyed || raw.write(text)) return Promise.resolve();
      return new Promise((resolve) => {
        const go = () => {
          raw.off('drain', go);
          raw.off('close', go);
          resolve();
        };
        raw.on('drain', go);
        raw.on('close', go);
      });
    },
  };
}
