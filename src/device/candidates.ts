import type { Endpoint } from '../wire/endpoint.ts';

/**
 * Own tuning, ms: for so long a place from which the peer was never heard is tried as any other; then
 * once in so long, or once an epoch.
 */
export const UNPROVEN_DENSE = 30_000;
const UNPROVEN_PAUSE = 60_000;

export const unprovenPause = (epoch: number): number => Math.min(UNPROVEN_PAUSE, epoch);

/** One place where a peer may be. Times are ms. */
interface Candidate {
  readonly endpoint: Endpoint;
  /** First try since it was named, or since the peer was heard from there; undefined: none yet. */
  triedSince: number | undefined;
  triedAt: number;
}

/**
 * All places where a peer may be, where there are several. What was tried in vain for long is tried
 * rarely: it may be somebody else's place, who must not be pestered.
 */
export class Candidates {
  private list: Candidate[] = [];

  get size(): number {
    return this.list.length;
  }

  /** What is known of those that stay stays known. */
  set(endpoints: readonly Endpoint[]): void {
    this.list = endpoints.map(
      (endpoint) =>
        this.list.find((known) => isSamePlace(known.endpoint, endpoint)) ?? {
          endpoint,
          triedSince: undefined,
          triedAt: Number.NEGATIVE_INFINITY,
        },
    );
  }

  /** The one that has waited longest of those whose turn it is; it counts as tried now. */
  next(now: number, longPause: number, mayTry: (one: Endpoint) => boolean): Endpoint | undefined {
    const due = this.list
      .filter(({ triedSince = now, triedAt, endpoint }) => {
        const pause = now - triedSince >= UNPROVEN_DENSE ? longPause : 0;
        return now - triedAt >= pause && mayTry(endpoint);
      })
      .sort((a, b) => a.triedAt - b.triedAt)[0];
    if (due === undefined) return undefined;
    due.triedSince ??= now;
    due.triedAt = now;
    return due.endpoint;
  }

  has(endpoint: Endpoint): boolean {
    return this.list.some((known) => isSamePlace(known.endpoint, endpoint));
  }

  /** The peer was heard from there. */
  heardFrom(endpoint: Endpoint): void {
    const found = this.list.find((known) => isSamePlace(known.endpoint, endpoint));
    if (found) found.triedSince = undefined;
  }
}

/** Whether both are the same socket, by whichever local address it is reached. */
export function isSamePlace(a: Endpoint, b: Endpoint): boolean {
  return (
    a.port === b.port &&
    a.scope === b.scope &&
    a.address.length === b.address.length &&
    a.address.every((byte, i) => byte === b.address[i])
  );
}
