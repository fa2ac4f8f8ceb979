import { connect, createServer } from 'node:net';
import { monotonicMs } from '../lab/clock.ts';
import { distribution } from '../lab/statistics.ts';
import { listen, partOptions, say } from './part.ts';

/**
 * One TCP connection that carries a block every few ms. Each block begins with the time it was
 * written (CLOCK_MONOTONIC, which both ends share), so the receiver knows how long it was held up.
 */
export interface TcpPart {
  readonly role: 'send' | 'receive';
  /** Of the receiver. */
  readonly address: string;
  readonly port: number;
  readonly blockBytes: number;
  readonly intervalMs: number;
}

export interface TcpReport {
  readonly blocks: number;
  /** ms from write to arrival. */
  readonly delay_ms: ReturnType<typeof distribution>;
  /** Longest time without an arrival, ms. */
  readonly longest_gap_ms: number;
}

const options = partOptions<TcpPart>();
const { role, address, port, blockBytes, intervalMs } = options;

function send(): void {
  const socket = connect({ port, host: address, noDelay: true }, () => say({ ready: true }));
  const block = Buffer.alloc(blockBytes);
  const timer = setInterval(() => {
    block.writeDoubleBE(monotonicMs(), 0);
    socket.write(Buffer.from(block));
  }, intervalMs);
  socket.on('error', (error) => {
    clearInterval(timer);
    say({ broken: error.message });
  });
}

let delays: number[] = [];
let lastAt = 0;
let longestGap = 0;

function receive(): void {
  const server = createServer((socket) => {
    let pending: Buffer = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      const now = monotonicMs();
      if (lastAt > 0) longestGap = Math.max(longestGap, now - lastAt);
      lastAt = now;
      pending = Buffer.concat([pending, chunk]);
      for (; pending.length >= blockBytes; pending = pending.subarray(blockBytes)) {
        delays.push(now - pending.readDoubleBE(0));
      }
    });
    socket.on('error', (error) => say({ broken: error.message }));
  });
  server.listen(port, address, () => say({ ready: true }));
}

if (role === 'send') send();
else receive();

listen(
  ({ id, command }) => {
    if (command === 'reset') {
      delays = [];
      lastAt = 0;
      longestGap = 0;
      say({ id });
      return;
    }
    const report: TcpReport = {
      blocks: delays.length,
      delay_ms: distribution(delays),
      longest_gap_ms: Number(longestGap.toFixed(1)),
    };
    say({ id, ...report });
  },
  () => process.exit(0),
);
