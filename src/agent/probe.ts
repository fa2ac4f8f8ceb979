import type { RosterEntry } from '../contract/config.ts';
import type { AgentClock, RandomNumber } from './clock.ts';
import type { Counters } from './counters.ts';
import type { EmitEvent } from './events.ts';

/**
 * One ICMP echo through the tunnel: ms until the reply, or undefined if none came in time. Rejects if
 * it could not be asked, which says nothing about the other end.
 */
export type Ping = (address: string, timeoutMs: number) => Promise<number | undefined>;

export interface ProbeOptions {
  readonly ping: Ping;
  /** Every node that this one knows of, denied ones too. */
  readonly roster: () => readonly RosterEntry[];
  readonly clock: AgentClock;
  readonly random: RandomNumber;
  readonly counters: Counters;
  readonly emit: EmitEvent;
  /** ms between rounds; production: 15 s. */
  readonly intervalMs: number;
}

export interface ProbeResult {
  readonly node: string;
  readonly address: string;
  readonly ok: boolean;
  readonly rttMs: number | undefined;
  /** Why it could not be asked; undefined if it was. */
  readonly error: string | undefined;
  /** Boot clock, seconds. */
  readonly at: number;
  /** Echoes that left, and replies. */
  readonly sent: number;
  readonly received: number;
}

const MAX_TIMEOUT_MS = 2000;
/**
 * Own tuning: echoes in a round, and in a mesh of more nodes than are few. An echo is traffic, which keeps a
 * pair from being quiet: where all cannot be asked, each has its turn.
 */
export const MOST_AT_ONCE = 32;
const FEW_NODES = 128;
export const MOST_AT_ONCE_OF_MANY = 4;

/** Asks known nodes for an echo, round by round. That denied ones fail is its point. */
export class Probe {
  private readonly options: ProbeOptions;
  private readonly latest = new Map<string, ProbeResult>();
  /** Who was asked, the longest ago first. */
  private readonly asked = new Set<string>();
  private roster: readonly RosterEntry[] = [];
  private known: ReadonlyMap<string, RosterEntry> = new Map();

  constructor(options: ProbeOptions) {
    this.options = options;
  }

  /** The last result for every node of the roster that has been asked. */
  results(): readonly ProbeResult[] {
    return [...this.latest.values()];
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, intervalMs } = this.options;
    while (!signal.aborted) {
      await this.round();
      await clock.sleep(intervalMs * (0.9 + 0.2 * random()), signal);
    }
  }

  /** One echo each, at the same time, to those whose turn it is. */
  async round(): Promise<void> {
    const roster = this.options.roster();
    if (roster !== this.roster) this.know(roster);
    await Promise.all(this.turn().map((entry) => this.ask(entry)));
  }

  private know(roster: readonly RosterEntry[]): void {
    this.roster = roster;
    this.known = new Map(roster.map((entry) => [entry.node_id, entry]));
    for (const node of this.asked) {
      if (this.known.has(node)) continue;
      this.asked.delete(node);
      this.latest.delete(node);
    }
  }

  /** Who has not been asked yet, from anywhere on, so that not all nodes ask the same one; then the others. */
  private turn(): readonly RosterEntry[] {
    const { roster, known } = this;
    const most = roster.length <= FEW_NODES ? MOST_AT_ONCE : MOST_AT_ONCE_OF_MANY;
    if (roster.length <= most) return roster;
    const start = Math.floor(this.options.random() * roster.length);
    const turn: RosterEntry[] = [];
    for (let i = 0; i < roster.length && turn.length < most; i++) {
      const entry = roster[(start + i) % roster.length]!;
      if (!this.asked.has(entry.node_id)) turn.push(entry);
    }
    for (const node of this.asked) {
      if (turn.length === most) break;
      turn.push(known.get(node)!);
    }
    return turn;
  }

  private async ask(entry: RosterEntry): Promise<void> {
    const { ping, clock, counters, emit, intervalMs } = this.options;
    const node = entry.node_id;
    this.asked.delete(node);
    this.asked.add(node);
    const address = entry.tunnel_address;
    const timeoutMs = Math.min(MAX_TIMEOUT_MS, intervalMs * 0.8);
    let rttMs: number | undefined;
    let error: string | undefined;
    try {
      rttMs = await ping(address, timeoutMs);
    } catch (failure) {
      error = failure instanceof Error ? failure.message : String(failure);
    }
    const ok = rttMs !== undefined;
    const before = this.latest.get(node);
    const result = {
      node,
      address,
      ok,
      rttMs,
      error,
      at: clock.boot(),
      sent: (before?.sent ?? 0) + (error === undefined ? 1 : 0),
      received: (before?.received ?? 0) + (ok ? 1 : 0),
    };
    if (this.known.has(node)) this.latest.set(node, result); // it may have been removed meanwhile
    counters.add(ok ? 'probes_answered' : error ? 'probes_failed' : 'probes_unanswered');
    const rtt_ms = rttMs === undefined ? null : Math.round(rttMs * 1000) / 1000;
    emit({
      event: 'probe',
      node,
      address,
      ok,
      rtt_ms,
      error: error ?? null,
      allowed: entry.allowed,
    });
  }
}
