import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';

export interface ImpairmentOptions {
  readonly seed: number;
  /** Probabilities, 0 to 1, each of a datagram by itself. */
  readonly loss: number;
  readonly duplicate: number;
  readonly reorder: number;
  /** ms that a reordered datagram, or the second copy of a duplicated one, is held back at most. */
  readonly hold: number;
}

/** Decides what happens to each datagram; the same seed decides the same. */
export class Impairment {
  private readonly options: ImpairmentOptions;
  private state: number;

  constructor(options: ImpairmentOptions) {
    this.options = options;
    this.state = options.seed >>> 0;
  }

  /** How long (ms) to hold back each copy of the next datagram: none if it is lost. */
  next(): number[] {
    const { loss, duplicate, reorder, hold } = this.options;
    // All are drawn every time, so that one probability does not shift what the others decide.
    const [lost, doubled, held, first, second] = Array.from({ length: 5 }, () => this.random());
    if (lost! < loss) return [];
    const copies = [held! < reorder ? first! * hold : 0];
    if (doubled! < duplicate) copies.push(second! * hold);
    return copies;
  }

  /** mulberry32: 0 <= x < 1. */
  private random(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let value = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  }
}

export interface RelayCounts {
  received: number;
  lost: number;
  duplicated: number;
  reordered: number;
}

/**
 * Stands between two UDP endpoints: what comes in at `near` goes out to `target` from another
 * socket, and what that one receives goes back to whoever spoke to `near` last.
 */
export class Relay {
  readonly counts: RelayCounts = { received: 0, lost: 0, duplicated: 0, reordered: 0 };
  private readonly impairment: Impairment;
  private readonly near = createSocket('udp4');
  private readonly far = createSocket('udp4');
  private client: RemoteInfo | undefined;

  constructor(options: ImpairmentOptions) {
    this.impairment = new Impairment(options);
  }

  async start(
    near: { address: string; port: number },
    target: { address: string; port: number },
  ): Promise<void> {
    this.near.on('message', (datagram, source) => {
      this.client = source;
      this.pass(datagram, this.far, target.port, target.address);
    });
    this.far.on('message', (datagram) => {
      if (this.client) this.pass(datagram, this.near, this.client.port, this.client.address);
    });
    const bound = Promise.all([once(this.near, 'listening'), once(this.far, 'listening')]);
    this.near.bind(near.port, near.address);
    this.far.bind(0);
    await bound;
    for (const socket of [this.near, this.far]) {
      socket.setRecvBufferSize(4 << 20);
      socket.setSendBufferSize(4 << 20);
      socket.on('error', () => {}); // refused by a peer that is not there yet
    }
  }

  private pass(datagram: Uint8Array, socket: Socket, port: number, address: string): void {
    const copies = this.impairment.next();
    this.counts.received++;
    if (copies.length === 0) this.counts.lost++;
    if (copies.length > 1) this.counts.duplicated++;
    if (copies[0]! > 0) this.counts.reordered++;
    for (const held of copies) {
      const send = () => socket.send(datagram, port, address, () => {});
      if (held === 0) send();
      else setTimeout(send, held);
    }
  }

  async close(): Promise<void> {
    await Promise.all(
      [this.near, this.far].map((socket) => new Promise<void>((done) => socket.close(done))),
    );
  }
}
