import type { ProblemCode } from '../../contract/problems.ts';
import { Histogram } from '../../contract/prometheus.ts';
import type { ControllerEventName, StampedEvent } from '../events.ts';
import type { ImmediateSubscriber } from '../spine.ts';

/** What metrics and the epoch document count, since the start. */
export class EventCounters implements ImmediateSubscriber {
  readonly name = 'counters';
  /** Members that lost their membership. */
  exclusions = 0;
  /** Time that commits took until they were durable. */
  readonly commits = new Histogram();
  /** Of the TLS certificate that is served with, ms since 1970; undefined without TLS. */
  certificateExpiresAt: number | undefined;
  /** Requests that were answered with a problem. */
  readonly refusedByCode = new Map<ProblemCode, number>();
  /** Failures from 0 on, so that the first one is an increase. */
  private readonly byName = new Map<ControllerEventName, number>([
    ['epoch_failed', 0],
    ['request_failed', 0],
    ['subscriber_failed', 0],
  ]);

  readonly handle = (event: StampedEvent): void => {
    this.byName.set(event.event, this.count(event.event) + 1);
    if (event.event === 'refused') {
      this.refusedByCode.set(event.code, (this.refusedByCode.get(event.code) ?? 0) + 1);
    }
    if (event.event === 'certificate_used') this.certificateExpiresAt = event.expires_at;
    if (event.event !== 'epoch_committed') return;
    this.exclusions += event.removed.length;
    this.commits.observe(event.commit_ms / 1000);
  };

  /** How often that happened. */
  count(name: ControllerEventName): number {
    return this.byName.get(name) ?? 0;
  }

  /** Of all events that happened at all, and of failures. */
  get counts(): ReadonlyMap<ControllerEventName, number> {
    return this.byName;
  }
}
