/** How much of the past a store keeps. */
export interface HistoryLimits {
  /** What is older goes, ms. */
  readonly maxAgeMs: number;
  /** While the database holds more than so many bytes, the oldest goes earlier. */
  readonly maxBytes: number;
  /** But never what is younger than this, ms: the policy judges by it. */
  readonly minAgeMs: number;
}

const DAY = 24 * 3600 * 1000;
/** What the policy may look back on, in epochs. */
const LEAST_EPOCHS = 60;

export const DEFAULT_HISTORY_DAYS = 7;
export const DEFAULT_HISTORY_MEGABYTES = 1024;

/** What an operator says about it. */
export interface HistoryOptions {
  /** Default: 7. */
  readonly days?: number;
  /** Of 10^6 bytes. Default: 1024. */
  readonly megabytes?: number;
}

/** Limits for a mesh with epochs of `epochS`, however little the operator wants to keep. */
export function historyLimits(epochS: number, options: HistoryOptions = {}): HistoryLimits {
  const { days = DEFAULT_HISTORY_DAYS, megabytes = DEFAULT_HISTORY_MEGABYTES } = options;
  const minAgeMs = LEAST_EPOCHS * epochS * 1000;
  return { minAgeMs, maxAgeMs: Math.max(minAgeMs, days * DAY), maxBytes: megabytes * 1e6 };
}
