import { SimClock } from '../agent-clock.ts';
import { seededBytes, seededRandom } from '../random.ts';
import { Simulation } from '../simulation.ts';

/** Own tuning: processor time for one world, which needs about 0.3 s: one that never ends says so by itself. */
const LONGEST_MS = 20_000;

/** Knows when promises (and WebCrypto's threads) have come to rest. */
const turns = new SimClock();

/**
 * One time for everything: datagrams and tunnels, which are synchronous, and agents and controller,
 * which are not. Whenever something asynchronous was set going, time stands still until it rests.
 */
export class SimWorld {
  readonly simulation: Simulation;
  /** What every clock that is right shows at the simulation's time 0, ms since 1970. */
  readonly wallAtStart = 1_700_000_000_000;
  /** What an agent or the controller did wrong by itself. */
  readonly failures: unknown[] = [];
  /** Called whenever something asynchronous has come to rest. */
  onRest: () => void = () => {};
  private readonly seed: number;
  private readonly begun = process.cpuUsage();
  private isMoving = false;

  constructor(seed: number) {
    this.seed = seed;
    this.simulation = new Simulation(seed);
  }

  /** The right wall clock, ms since 1970. */
  wall(): number {
    return this.wallAtStart + this.simulation.now;
  }

  /** A stream of its own for each user: what one does changes nothing for the others. */
  random(user: string): () => number {
    return seededRandom(this.seedOf(user));
  }

  randomBytes(user: string): (length: number) => Uint8Array {
    return seededBytes(this.seedOf(user));
  }

  /** Runs `work`, which may settle promises, after `ms`. */
  after(ms: number, work: () => void): void {
    this.simulation.after(Math.max(0, ms), () => this.now(work));
  }

  /** Runs `work`, which may settle promises; everything else waits until it rests. */
  now(work: () => void): void {
    this.isMoving = true;
    work();
  }

  async advance(ms: number): Promise<void> {
    const end = this.simulation.now + ms;
    do {
      if (this.isMoving) await this.rest();
    } while (this.simulation.runNext(end));
    this.simulation.runUntil(end);
  }

  private async rest(): Promise<void> {
    await turns.settle();
    this.isMoving = false;
    const { user, system } = process.cpuUsage(this.begun);
    if ((user + system) / 1000 > LONGEST_MS) {
      throw new Error(
        `no end in sight: ${LONGEST_MS / 1000} s, and it is ${this.simulation.now} ms`,
      );
    }
    this.onRest();
  }

  private seedOf(user: string): number {
    let hash = this.seed | 0;
    for (const byte of new TextEncoder().encode(user)) hash = Math.imul(hash ^ byte, 0x01000193);
    return hash >>> 0;
  }
}
