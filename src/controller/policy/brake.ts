import type { BrakeParameters } from '../policy.ts';

/** A member that judgement would cut. */
export interface Condemned {
  readonly nodeId: string;
  /** By how much it is under its threshold; who is out for silence alone has none. */
  readonly lack: number;
}

export interface Braked {
  /**
   * `open`: all that are condemned are cut. `capped`: the worst of them, up to `max_cut`. `frozen`: nobody,
   * because so many at once are more likely to have one cause that is not theirs.
   */
  readonly phase: 'open' | 'capped' | 'frozen';
  readonly since: number | null;
  /** When the freeze ends, ms; null where there is none. */
  readonly until: number | null;
  /** The members that stay only because of the brake, the worst first. */
  readonly held: readonly string[];
}

/** Shares that come out whole on paper do so here. */
const ROUNDING = 1e-9;

/**
 * Decides who of the condemned is cut in this epoch. More than `freezeAbove` of all members at once (and
 * more than one) are not believed for `freezeEpochs`; after that, and always, no more than `maxCut` of the
 * members (but one) go in one epoch, and never so many that fewer than `minMembers` are left.
 *
 * An operator who knows better writes another policy.
 *
 * @param members those of the epoch before that are judged at all, the condemned among them
 * @param before since when too many would be cut at once, controller's clock, ms; null: they would not
 */
export function brake(
  parameters: BrakeParameters,
  condemned: readonly Condemned[],
  members: number,
  before: number | null,
  { now, epochMs }: { readonly now: number; readonly epochMs: number },
): Braked {
  const share = (of: number) => Math.max(1, Math.floor(of * members + ROUNDING));
  const spare = Math.max(0, members - parameters.minMembers);
  const isMass = condemned.length > share(parameters.freezeAbove);
  const since = isMass ? (before ?? now) : null;
  const lasts = parameters.freezeEpochs * epochMs;
  // Half an epoch of play: boundaries are not met to the millisecond.
  const isFrozen = since !== null && now - since < lasts - epochMs / 2;
  const most = isFrozen ? 0 : Math.min(spare, share(parameters.maxCut));
  const worstFirst = condemned.toSorted((a, b) => b.lack - a.lack);
  const held = worstFirst.slice(most).map((one) => one.nodeId);
  return {
    phase: isFrozen ? 'frozen' : held.length > 0 ? 'capped' : 'open',
    since,
    until: isFrozen ? since + lasts : null,
    held,
  };
}
