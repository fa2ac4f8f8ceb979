import { Histogram, type Sample } from '../contract/prometheus.ts';

/** How requests were answered, by route. Routes and statuses are few, whatever is asked. */
export class RequestCounters {
  /** From a request's arrival until its answer is ready; streams have none. */
  readonly durations = new Histogram();
  private readonly counts = new Map<string, Map<number, number>>();

  /** `route`: method and pattern, such as `GET /v1/config/:node_id`. */
  count(route: string, status: number): void {
    const byStatus = this.counts.get(route) ?? new Map<number, number>();
    this.counts.set(route, byStatus.set(status, (byStatus.get(status) ?? 0) + 1));
  }

  get samples(): Sample[] {
    return [...this.counts].flatMap(([route, byStatus]) =>
      [...byStatus].map(([status, count]): Sample => [{ route, status: String(status) }, count]),
    );
  }
}
