import type { MetricsText } from '../contract/prometheus.ts';
import type { Services } from './services.ts';
import type { Delivery } from './spine.ts';

/** What was counted of the controller's events, and what became of them. */
export function eventMetrics(text: MetricsText, { counters, streams, spine }: Services): void {
  text.add(
    'meshnet_events_total',
    'counter',
    'Events since the start.',
    [...counters.counts].map(([event, count]) => [{ event }, count]),
  );
  text.histogram(
    'meshnet_commit_duration_seconds',
    'Until an epoch was on the disk.',
    counters.commits,
  );
  text.histogram(
    'meshnet_push_duration_seconds',
    'From there until it was written to all streams.',
    streams.pushes,
  );
  const { certificateExpiresAt } = counters;
  if (certificateExpiresAt !== undefined) {
    text.add(
      'meshnet_certificate_expiry_timestamp_seconds',
      'gauge',
      'End of the TLS certificate, Unix time.',
      certificateExpiresAt / 1000,
    );
  }
  const deliveries = summed(spine.deliveries);
  text.add(
    'meshnet_subscriber_events_total',
    'counter',
    'Events by what became of them.',
    deliveries.flatMap(({ name: subscriber, handled, failed, dropped }) => [
      [{ subscriber, outcome: 'handled' }, handled],
      [{ subscriber, outcome: 'failed' }, failed],
      [{ subscriber, outcome: 'dropped' }, dropped],
    ]),
  );
  text.add(
    'meshnet_subscriber_busy_seconds_total',
    'counter',
    'Time that subscribers took.',
    deliveries.map(({ name: subscriber, busyMs }) => [{ subscriber }, busyMs / 1000]),
  );
}

/** Readers of events share a name. */
function summed(deliveries: readonly Delivery[]): Delivery[] {
  const byName = new Map<string, Delivery>();
  for (const one of deliveries) {
    const sum = byName.get(one.name);
    if (sum === undefined) byName.set(one.name, { ...one });
    else {
      sum.handled += one.handled;
      sum.failed += one.failed;
      sum.dropped += one.dropped;
      sum.busyMs += one.busyMs;
    }
  }
  return [...byName.values()];
}
