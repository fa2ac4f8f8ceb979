import { connect } from 'node:net';
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

/** The same for all streams: they are told the same in the same bytes. */
let last = { text: '', removed: [] as readonly string[] };

function removedIn(text: string): readonly string[] {
  if (text !== last.text) {
    const names = [...text.matchAll(REMOVAL)].flatMap(([, data]) => {
      const { payload } = JSON.parse(data!) as { payload: string };
      return (JSON.parse(Buffer.from(payload, 'base64').toString()) as StreamEvent).removed;
    });
    last = { text, removed: names };
  }
  return last.removed;
}

/** One for all streams: what was read is looked at before anything else is. */
const buffer = Buffer.alloc(64 * 1024);

/** Looks for removals and for nothing else: what a node does with the rest is measured elsewhere. */
function openStream(seed: number): Promise<void> {
  const node = new TestNode(playedName(seed), seed);
  const url = new URL(`${controllerUrl}/v1/stream/${node.nodeId}?protocol=${PROTOCOL}`);
  const headers = { host: url.host, ...node.signed(url.href, SIGNATURE_TAGS.stream, Date.now()) };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  let isOpen = false;
  let rest = '';
  return new Promise((resolve, reject) => {
    const callback = (length: number) => {
      let text = rest + buffer.toString('latin1', 0, length); // it is ASCII
      if (!isOpen) {
        const head = text.indexOf('\r\n\r\n');
        if (head < 0 || !text.startsWith('HTTP/1.1 200 ')) {
          reject(new Error(text.slice(0, 100)));
          return true;
        }
        isOpen = true;
        open++;
        resolve();
        text = text.slice(head + 4);
      }
      for (const name of removedIn(text)) {
        const at = monotonicMs();
        const times = heard.get(name);
        if (times) times.push(at);
        else heard.set(name, [at]);
      }
      const end = text.lastIndexOf('\n\n');
      rest = end < 0 ? text : text.slice(end + 2); // an event that has not come whole
      return true;
    };
    const stream = connect({
      host: url.hostname,
      port: Number(url.port),
      localAddress: `127.0.1.${1 + (seed % SOURCES)}`,
      onread: { buffer, callback },
    });
    stream.on('error', reject);
    stream.on('close', () => {
      open--;
    });
    stream.write(`GET ${url.pathname}${url.search} HTTP/1.1\r\n${lines.join('')}\r\n`);
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
  ({ id, command, removed }) => {
    const { user, system } = process.cpuUsage();
    if (command === 'cpu') say({ id, cpuMs: (user + system) / 1000 });
    else say({ id, open, at: heard.get(removed as string) ?? [] });
  },
  () => process.exit(0),
);
