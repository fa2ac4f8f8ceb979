import { concat, equalBytes, u64be } from '../contract/encoding.ts';
import { packHeader } from '../contract/epoch/header.ts';
import type { AgentClock, RandomNumber } from './clock.ts';
import type { Counters } from './counters.ts';
import type { HeaderChain } from './header-chain.ts';
import type { OpenDatagrams, TunnelDatagrams } from './tunnel-datagrams.ts';

/** UDP port on the tunnel addresses. */
export const COMPARE_PORT = 51_816;

const MAGIC = new TextEncoder().encode('amhc1');
/** `1 || u64be(version) || hash (32)`: the newest header that the sender holds. */
const HOLDS = 1;
/** `2 || signature (64) || payload`: a header that the sender was given. */
const SHOWS = 2;
const HOLDS_LENGTH = MAGIC.length + 1 + 8 + 32;
/** Bytes of a datagram: never in fragments in a tunnel of the smallest MTU that IPv6 allows. */
const MAX_DATAGRAM = 1200;
/**
 * Members that are told at a time, and in a mesh of more than are few: a message is traffic, which keeps a
 * pair from being quiet. Whoever was told another story tells as many as the others do.
 */
const TOLD_AT_ONCE = 8;
const FEW_MEMBERS = 128;
const TOLD_AT_ONCE_OF_MANY = 2;
/** ms between two times, and between two headers shown to one. */
const INTERVAL_MS = 10_000;
const SHOW_INTERVAL_MS = 1000;

export interface HeaderCompareOptions {
  readonly headers: Pick<HeaderChain, 'held' | 'comparePacked'>;
  /** Tunnel addresses of the members in force. */
  readonly members: () => readonly string[];
  readonly clock: AgentClock;
  readonly random: RandomNumber;
  readonly counters: Counters;
  readonly port?: number;
}

/**
 * Members tell each other, inside the tunnel, which header they hold. Where one version has two, each is
 * shown the other's, signed: so a controller that tells two stories is found out by whoever can still
 * talk. Nothing is believed because of where it came from; a header counts by its signature alone.
 */
export class HeaderCompare {
  private readonly options: HeaderCompareOptions;
  private readonly shownAt = new Map<string, number>();
  private socket: TunnelDatagrams | undefined;

  constructor(options: HeaderCompareOptions) {
    this.options = options;
  }

  /** Listens inside the tunnel and tells members until `signal` aborts. Rejects if it cannot. */
  async run(open: OpenDatagrams, signal: AbortSignal): Promise<void> {
    const { clock, port = COMPARE_PORT } = this.options;
    const socket = await open(port, (message, from) => this.heard(message, from));
    this.socket = socket;
    try {
      while (!signal.aborted) {
        this.tell();
        await Promise.race([clock.sleep(INTERVAL_MS, signal), socket.broken]);
      }
    } finally {
      this.socket = undefined;
      socket.close();
    }
  }

  /** Tells some members, other ones each time, which header is held. */
  tell(): void {
    const { headers, members, random } = this.options;
    const { held } = headers;
    if (held === undefined) return;
    const all = [...members()];
    const version = u64be(held.document.version);
    const message = concat(MAGIC, Uint8Array.of(HOLDS), version, held.hash);
    const most = all.length <= FEW_MEMBERS ? TOLD_AT_ONCE : TOLD_AT_ONCE_OF_MANY;
    for (let n = Math.min(most, all.length); n > 0; n--) {
      const [address] = all.splice(Math.floor(random() * all.length), 1);
      this.send(message, address!);
    }
  }

  private heard(message: Uint8Array, from: string): void {
    const { members, counters } = this.options;
    const isOurs = equalBytes(message.subarray(0, MAGIC.length), MAGIC);
    if (!isOurs || message.length > MAX_DATAGRAM || !members().includes(from)) {
      counters.add('headers_compared_dropped');
      return;
    }
    const kind = message[MAGIC.length];
    if (kind === HOLDS && message.length === HOLDS_LENGTH) this.compare(message, from);
    else if (kind === SHOWS) this.shown(message.subarray(MAGIC.length + 1));
    else counters.add('headers_compared_dropped');
  }

  private compare(message: Uint8Array, from: string): void {
    const { headers, counters } = this.options;
    const { held } = headers;
    if (held === undefined) return;
    const version = message.subarray(MAGIC.length + 1, MAGIC.length + 9);
    if (!equalBytes(version, u64be(held.document.version))) return; // one of the two is behind
    counters.add('headers_compared');
    if (equalBytes(message.subarray(MAGIC.length + 9), held.hash)) return;
    counters.add('headers_differ');
    this.show(from);
  }

  /** At most one a second to each, and only what fits into one datagram. */
  private show(to: string): void {
    const { headers, clock } = this.options;
    const now = clock.monotonic();
    if (now - (this.shownAt.get(to) ?? Number.NEGATIVE_INFINITY) < SHOW_INTERVAL_MS) return;
    const message = concat(MAGIC, Uint8Array.of(SHOWS), packHeader(headers.held!.envelope));
    if (message.length > MAX_DATAGRAM) return;
    if (this.shownAt.size >= 1024) this.shownAt.clear();
    this.shownAt.set(to, now);
    this.send(message, to);
  }

  private shown(packed: Uint8Array): void {
    void this.options.headers.comparePacked(packed).catch(() => {
      this.options.counters.add('disk_errors'); // the evidence could not be kept; it was reported
    });
  }

  private send(message: Uint8Array, to: string): void {
    const { counters } = this.options;
    this.socket?.send(message, to, () => counters.add('headers_compared_unsent'));
  }
}
