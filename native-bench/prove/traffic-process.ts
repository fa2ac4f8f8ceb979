import { createSocket } from 'node:dgram';
import { monotonicMs } from './clock.ts';
import { listen, partOptions, say } from './part.ts';

/**
 * Numbered UDP datagrams to every target, `rate` per second each, and a count of those that come
 * in. Payload: u32 sender, u32 number, f64 time sent (CLOCK_MONOTONIC ms), padding.
 */
export interface TrafficPart {
  /** Number of this sender. */
  readonly sender: number;
  /** Own tunnel address. */
  readonly address: string;
  readonly port: number;
  readonly targets: readonly string[];
  readonly rate: number;
  readonly size: number;
}

/** What came in from one sender since it was last asked for. */
export interface Received {
  sender: number;
  received: number;
  /** Numbers below one that came before. */
  late: number;
  duplicated: number;
  /** Numbers between the first and the last that never came. */
  missing: number;
  /** Longest time between two that came, ms. */
  longestGapMs: number;
}

const options = partOptions<TrafficPart>();
const socket = createSocket('udp4');
const datagram = Buffer.alloc(options.size);
datagram.writeUInt32BE(options.sender, 0);
const sent = new Map(options.targets.map((target) => [target, 0]));
let isSending = true;

class Flow {
  readonly sender: number;
  private first = -1;
  private readonly seen = new Set<number>();
  private last = -1;
  private received = 0;
  private late = 0;
  private duplicated = 0;
  private lastAt = 0;
  private longestGap = 0;

  constructor(sender: number) {
    this.sender = sender;
  }

  take(number: number): void {
    const now = monotonicMs();
    if (this.lastAt > 0) this.longestGap = Math.max(this.longestGap, now - this.lastAt);
    this.lastAt = now;
    this.received++;
    if (this.seen.has(number)) this.duplicated++;
    else if (number < this.last) this.late++;
    this.seen.add(number);
    if (this.first < 0 || number < this.first) this.first = number;
    this.last = Math.max(this.last, number);
  }

  report(): Received {
    const { sender, received, late, duplicated } = this;
    const missing = this.last - this.first + 1 - this.seen.size;
    const longestGapMs = Number(this.longestGap.toFixed(1));
    return { sender, received, late, duplicated, missing, longestGapMs };
  }
}

const flows = new Map<number, Flow>();
socket.on('message', (message) => {
  const sender = message.readUInt32BE(0);
  const flow = flows.get(sender) ?? new Flow(sender);
  flows.set(sender, flow);
  flow.take(message.readUInt32BE(4));
});
socket.on('error', () => {}); // no route while the tunnel is down

const startedAt = monotonicMs();
let rounds = 0;
function send(): void {
  const due = Math.floor(((monotonicMs() - startedAt) / 1000) * options.rate);
  // Late after a pause of this process: not made up for, a burst is not what is measured.
  if (due - rounds > options.rate / 20) rounds = due - 1;
  for (; rounds < due; rounds++) {
    if (!isSending) continue;
    for (const target of options.targets) {
      const number = sent.get(target)!;
      sent.set(target, number + 1);
      datagram.writeUInt32BE(number, 4);
      datagram.writeDoubleBE(monotonicMs(), 8);
      socket.send(Buffer.from(datagram), options.port, target, () => {});
    }
  }
}

socket.bind(options.port, options.address, () => {
  socket.setRecvBufferSize(4 << 20);
  socket.setSendBufferSize(4 << 20);
  setInterval(send, 1);
  say({ ready: true });
});

listen(
  ({ id, command }) => {
    if (command === 'pause') isSending = false;
    if (command === 'resume') isSending = true;
    if (command === 'reset') flows.clear();
    const received = [...flows.values()].map((flow) => flow.report());
    say({ id, sent: Object.fromEntries(sent), received });
  },
  () => process.exit(0),
);
