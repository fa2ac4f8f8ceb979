import { suitesOf } from './policy.ts';
import type { Settings } from './settings.ts';

/**
 * The nonce of each signed request is remembered for two minutes or four. A node that asks too often is
 * slowed down; it is not turned away until those are forgotten, for it may need a lease before that.
 */
export const SIGNED_REQUESTS = { burst: 512, intervalMs: 100, maxKeys: 100_000 };

/** Each move has every member send handshakes elsewhere: so many at once, and again at this interval. */
export const MOVES = { burst: 6, intervalMs: 60_000, maxKeys: 100_000 };

/**
 * Each accepted score costs a sync of the disk: a signer gets this many at once and as many again
 * in a report interval, so that a member run wild cannot keep the others' scores out.
 */
export const SCORE_BURST = 10;
/** Of a suite that is expected every ten seconds; above so many (signer, node, suite) the oldest is forgotten. */
export const SCORES = { burst: SCORE_BURST, intervalMs: 1000, maxKeys: 100_000 };

/** What a node tells of others: so many at once, and again at this interval. */
export const REACH_REPORTS = { burst: 4, intervalMs: 5000, maxKeys: 100_000 };

/** Calls with one access token, whatever they are. */
export const ACCESS_CALLS = { burst: 100, intervalMs: 100, maxKeys: 10_000 };

/** Seconds in which a node is expected to be measured in a suite. */
export function reportIntervalOf(
  { policy, reportIntervalS }: Settings,
  nodeId: string,
  suite: string,
): number {
  const rule = suitesOf(policy, nodeId).find((one) => one.suite === suite);
  return rule?.reportIntervalS ?? reportIntervalS;
}
