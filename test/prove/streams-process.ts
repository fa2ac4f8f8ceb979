import { get, type IncomingMessage } from 'node:http';
import { SIGNATURE_TAGS } from '../../src/contract/http-signature.ts';
import { PROTOCOL } from '../../src/contract/protocol.ts';
import { STREAM_EVENT_NAME, type StreamEvent } from '../../src/contract/stream-event.ts';
import { TestNode } from '../controller/support/test-node.ts';
import { monotonicMs } from '../lab/clock.ts';
import { playedName } from './fill-store.ts';
import { listen, partOptions, say } from './part.ts';

/** Keeps a real event stream open for each of many nodes, and says when each was told of a removal. */
export interface StreamsPart {
  readonly controllerUrl: string;
  /** Seeds of the nodes' keys; `playedName` has their names. */
  readonly from: number;
  readonly to: number;
}

const REMOVAL = new RegExp(`^event: ${STREAM_EVENT_NAME}\\nid: .*\\ndata: (.*)\\n\\n`, 'gm');
/** Streams that are being opened at once. */
const OPENING = 64;
/** One address may have half of a controller's connections: the streams come from several. */
const SOURCES = 8;

const { controllerUrl, from, to } = partOptions<StreamsPart>();
/** When each stream told of a removal, by the name of who was removed: CLOCK_MONOTONIC, ms. */
const heard = new Map<string, number[]>();
let open = 0;

/** Looks for removals and for nothing else: what a node does with the rest is measured elsewhere. */
function read(stream: IncomingMessage): void {
  let rest = '';
  stream.setEncoding('latin1'); // it is ASCII
  stream.on('data', (piece: string) => {
    const text = rest + piece;
    for (const [, data] of text.matchAll(REMOVAL)) {
      const at = monotonicMs();
      const { payload } = JSON.parse(data!) as { payload: string };
      const { removed } = JSON.parse(Buffer.from(payload, 'base64').toString()) as StreamEvent;
      for (const name of removed) {
        const times = heard.get(name) ?? [];
        times.push(at);
        heard.set(name, times);
      }
    }
    const end = text.lastIndexOf('\n\n');
    rest = end < 0 ? text : text.slice(end + 2); // an event that has not come whole
  });
  stream.on('close', () => {
    open--;
  });
}

function openStream(seed: number): Promise<void> {
  const node = new TestNode(playedName(seed), seed);
  const url = `${controllerUrl}/v1/stream/${node.nodeId}?protocol=${PROTOCOL}`;
  const headers = node.signed(url, SIGNATURE_TAGS.stream, Date.now());
  const localAddress = `127.0.1.${1 + (seed % SOURCES)}`;
  return new Promise((resolve, reject) => {
    const call = get(url, { headers, localAddress, agent: false });
    call.on('error', reject);
    call.on('response', (response) => {
      if (response.statusCode !== 200) return reject(new Error(`status ${response.statusCode}`));
      open++;
      read(response);
      resolve();
    });
  });
}

let next = from;
await Promise.all(
  Array.from({ length: OPENING }, async () => {
    while (next < to) await openStream(next++);
  }),
);
say({ opened: open });

listen(
  ({ id, removed }) => say({ id, open, at: heard.get(removed as string) ?? [] }),
  () => process.exit(0),
);
