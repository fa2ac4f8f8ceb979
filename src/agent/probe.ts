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
  /** Every node this one knows of, denied ones too. */
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

/** Asks every known node for an echo, interval by interval. That denied ones fail is its point. */
export class Probe {
  private readonly options: ProbeOptions;
  private readonly latest = new Map<string, ProbeResult>();

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

  /** One echo to each node at the same time. */
  async round(): Promise<void> {
    const roster = this.options.roster();
    const known = new Set(roster.map((entry) => entry.node_id));
    for (const node of this.latest.keys()) if (!known.has(node)) this.latest.delete(node);
    await Promise.all(roster.map((entry) => this.ask(entry)));
  }

  private async ask(entry: RosterEntry): Promise<void> {
    const { ping, clock, counters, emit, intervalMs } = this.options;
    const node = entry.node_id;
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
    this.latest.set(node, {
      node,
      address,
      ok,
      rttMs,
      error,
      at: clock.boot(),
      sent: (before?.sent ?? 0) + (error === undefined ? 1 : 0),
      received: (before?.received ?? 0) + (ok ? 1 : 0),
    });
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
