import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { WallClock } from './clock.ts';

export interface Packet {
  /** When the kernel saw it: CLOCK_MONOTONIC, ms. */
  readonly at: number;
  readonly length: number;
  /** What was captured of it: all of it if `whole` was asked for. */
  readonly bytes: Buffer;
}

const FILE_HEADER = 24;
const RECORD_HEADER = 16;
/** pcap with nanoseconds, written by a little-endian machine. */
const MAGIC_NANOSECONDS = 0xa1b23c4d;

/**
 * Times of the packets that match a filter on one interface, from tcpdump: kernel timestamps, taken
 * when a packet is written to a TUN device or handed to a link, not when a program reads it.
 */
export class Capture {
  readonly packets: Packet[] = [];
  private readonly process;
  private readonly ready: Promise<void>;
  private pending: Buffer = Buffer.alloc(0);
  private isOpen = false;
  private readonly clock: WallClock;
  private stderr = '';

  /** `wrap` puts the command into a namespace. `direction`: of the interface. */
  constructor(options: {
    wrap: (command: readonly string[]) => readonly [string, ...string[]];
    device: string;
    direction: 'in' | 'out' | 'inout';
    filter: string;
    clock: WallClock;
    /** Captures packets to their end, not just their first bytes. */
    whole?: boolean;
  }) {
    this.clock = options.clock;
    const { wrap, device, direction, filter } = options;
    const length = options.whole ? '65535' : '96';
    const flags = ['-n', '-U', '-w', '-', '-s', length, '--immediate-mode', '-Z', 'root'];
    const [file, ...parameters] = wrap([
      ...['tcpdump', '-i', device, '-Q', direction, '--time-stamp-precision=nano'],
      ...flags,
      filter,
    ]);
    this.process = spawn(file, parameters, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.process.stdout.on('data', (chunk: Buffer) => this.read(chunk));
    this.ready = new Promise((resolve, reject) => {
      this.process.stderr.setEncoding('utf8').on('data', (chunk: string) => {
        this.stderr += chunk;
        if (this.stderr.includes('listening on')) resolve();
      });
      this.process.on('error', reject);
      this.process.on('exit', (code) => reject(new Error(`tcpdump: ${code}: ${this.stderr}`)));
    });
    this.ready.catch(() => {});
  }

  /** Resolves when packets are being captured. */
  opened(): Promise<void> {
    return this.ready;
  }

  /** Forgets what it has seen. */
  clear(): void {
    this.packets.length = 0;
  }

  /** ms, undefined if there was none since `clear`. */
  lastAt(): number | undefined {
    return this.packets.at(-1)?.at;
  }

  async stop(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const ended = once(this.process, 'exit');
    this.process.kill('SIGTERM');
    await ended;
  }

  private read(chunk: Buffer): void {
    this.pending = this.pending.length === 0 ? chunk : Buffer.concat([this.pending, chunk]);
    if (!this.isOpen) {
      if (this.pending.length < FILE_HEADER) return;
      if (this.pending.readUInt32LE(0) !== MAGIC_NANOSECONDS) throw new Error('not a pcap');
      this.pending = this.pending.subarray(FILE_HEADER);
      this.isOpen = true;
    }
    while (this.pending.length >= RECORD_HEADER) {
      const captured = this.pending.readUInt32LE(8);
      const end = RECORD_HEADER + captured;
      if (this.pending.length < end) return;
      const wall = this.pending.readUInt32LE(0) * 1000 + this.pending.readUInt32LE(4) / 1e6;
      this.packets.push({
        at: this.clock.monotonicOf(wall),
        length: this.pending.readUInt32LE(12),
        bytes: this.pending.subarray(RECORD_HEADER, end),
      });
      this.pending = this.pending.subarray(end);
    }
  }
}
