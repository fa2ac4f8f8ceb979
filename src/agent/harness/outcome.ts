/** More in one run are no result but a mistake. */
export const MAX_SAMPLES = 1_000_000_000;
/** Before this (2000-01-01, ms) is no date but a mistake in the unit. */
const FIRST_DATE = 946_684_800_000;
const LAST_DATE = 8.64e15;

/** Whether that is ms since 1970 of a time at which something can have been measured. */
export function isDate(value: number): boolean {
  return value >= FIRST_DATE && value <= LAST_DATE;
}

/** What a finished run of a harness says, as the harness counts. */
export interface HarnessResult {
  /** In the harness's own unit: 0 to 1 only after `--map`. */
  readonly score: number;
  /** Items that were scored. */
  readonly samples: number;
  /** Standard error of the score; null where the harness tells none. */
  readonly stderr: number | null;
  /** When it was measured, by the harness's clock, ms since 1970. */
  readonly observedAt: number;
  /** Share of the run's items that were scored, 0 to 1. */
  readonly complete: number;
  /** The harness says that less is better. */
  readonly lowerIsBetter?: boolean;
}

/** Why a file or an answer is no score. */
export type HarnessReason =
  | 'not_found'
  | 'too_large'
  | 'too_deep'
  | 'not_json'
  | 'bad_archive'
  /** Still being written, or ended halfway. */
  | 'unfinished'
  /** The run says of itself that it failed. */
  | 'run_failed'
  | 'nothing_scored'
  | 'incomplete'
  /** What was asked for is not in it. */
  | 'no_such_value'
  /** More than one value, and none was named. */
  | 'several'
  | 'not_a_number'
  | 'out_of_range'
  | 'lower_is_better'
  | 'no_date';

export type Outcome =
  | { readonly ok: true; readonly result: HarnessResult }
  | { readonly ok: false; readonly reason: HarnessReason; readonly detail: string };

/**
 * Reads what one harness writes. Pure; never throws, whatever the bytes. `selector`: what stands after
 * `#`. `modifiedAt`: of the file, ms since 1970, for formats without a date of their own.
 */
export type Adapter = (bytes: Uint8Array, selector: string | null, modifiedAt: number) => Outcome;

export function found(result: HarnessResult): Outcome {
  for (const name of ['score', 'samples', 'observedAt', 'complete'] as const) {
    if (!Number.isFinite(result[name])) return none('not_a_number', `${name} is no number`);
  }
  if (!Number.isSafeInteger(result.samples) || result.samples < 0) {
    return none('not_a_number', 'the number of samples is no whole number');
  }
  if (result.samples > MAX_SAMPLES || result.complete < 0 || result.complete > 1) {
    return none('not_a_number', 'the number of samples cannot be');
  }
  if (!isDate(result.observedAt)) return none('no_date', 'the date cannot be');
  if (result.samples === 0) return none('nothing_scored', 'no item was scored');
  return { ok: true, result };
}

export function none(reason: HarnessReason, detail: string): Outcome & { readonly ok: false } {
  return { ok: false, reason, detail };
}
