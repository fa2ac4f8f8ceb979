import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { monotonicMs } from '../lab/clock.ts';
import { listen, partOptions, say } from './part.ts';

/**
 * Numbered UDP datagrams to every target, `rate` per second each, and a count of those that come
 * in. Payload: u32 sender, u32 number, f64 time sent (CLOCK_MONOTONIC ms), padding.
 */
export interface TrafficPart {
  /** Number of this sender; it sends to port BASE_PORT + number. */
  readonly sender: number;
  /** Own tunnel address. */
  readonly address: string;
  /** Interface of the tunnel. */
  readonly device: string;
  readonly targets: readonly string[];
  /** Numbers of the senders to listen to. */
  readonly senders: readonly number[];
  readonly rate: number;
  readonly size: number;
}

/** What came in from one sender since it was last asked for. */
export interface Received {
  readonly sender: number;
  readonly received: number;
  /** Numbers below one that came before. */
  readonly late: number;
  readonly duplicated: number;
  /** Numbers between the first and the last that never came. */
  readonly missing: number;
  /** How many of the missing came this far, but this program was too slow to take them. */
  readonly droppedBySocket: number;
  /** Longest time between two that came, ms. */
  readonly longestGapMs: number;
}

export interface TrafficReport {
  readonly sent: Readonly<Record<string, number>>;
  /** Packets that the tunnel's interface did not take because its queue was full. */
  readonly droppedByInterface: number;
  readonly received: readonly Received[];
}

/** A port for each sender, so that the kernel counts drops for each. */
const BASE_PORT = 9000;

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
  private readonly dropsBefore: number;

  constructor(sender: number) {
    this.sender = sender;
    this.dropsBefore = socketDrops(sender);
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
    const droppedBySocket = socketDrops(sender) - this.dropsBefore;
    return { sender, received, late, duplicated, missing, droppedBySocket, longestGapMs };
  }
}

/** Last column of this socket's line in /proc/net/udp: datagrams that found its buffer full. */
function socketDrops(sender: number): number {
  const port = (BASE_PORT + sender).toString(16).toUpperCase().padStart(4, '0');
  const lines = readFileSync('/proc/net/udp', 'utf8').split('\n');
  const line = lines.find((one) => one.trim().split(/\s+/)[1]?.endsWith(`:${port}`));
  return Number(line?.trim().split(/\s+/).at(-1) ?? 0);
}

function interfaceDrops(): number {
  return Number(readFileSync(`/sys/class/net/${options.device}/statistics/tx_dropped`, 'utf8'));
}

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
      socket.send(Buffer.from(datagram), BASE_PORT + options.sender, target, () => {});
    }
  }
}

let flows = new Map<number, Flow>();
for (const sender of options.senders) {
  const receiver = createSocket('udp4');
  receiver.on('message', (message) => {
    flows.get(message.readUInt32BE(0))?.take(message.readUInt32BE(4));
  });
  receiver.bind(BASE_PORT + sender, options.address);
  await once(receiver, 'listening');
  receiver.setRecvBufferSize(4 << 20);
}
const reset = () => {
  flows = new Map(options.senders.map((sender) => [sender, new Flow(sender)]));
};
reset();
let dropsBefore = interfaceDrops();
socket.on('error', () => {}); // no route while the tunnel is down
socket.bind(0, options.address, () => {
  socket.setSendBufferSize(4 << 20);
  setInterval(send, 1);
  say({ ready: true });
});

listen(
  ({ id, command }) => {
    if (command === 'pause') isSending = false;
    if (command === 'resume') isSending = true;
    if (command === 'reset') {
      reset();
      dropsBefore = interfaceDrops();
    }
    const report: TrafficReport = {
      sent: Object.fromEntries(sent),
      droppedByInterface: interfaceDrops() - dropsBefore,
      received: [...flows.values()].map((flow) => flow.report()),
    };
    say({ id, ...report });
  },
  () => process.exit(0),
);
