import { EMPTY_TRACK, type Track } from './track.ts';

/**
 * What judgement remembers of a node from one epoch to the next. Plain data, stored with the epoch, and in the
 * record, whose text has members by their names: it is made in that order.
 */
export interface Standing {
  /** As judgement has it: with observe-only a node may be in all the same. */
  readonly isMember: boolean;
  /** It was cut for its scores and is not back; null otherwise. */
  readonly cut: { readonly epoch: number; readonly why: string } | null;
  /** By suite. */
  readonly tracks: Readonly<Record<string, Track>>;
  /** Since when the brake has held so many, of which this is one, controller's clock, ms; or null. */
  readonly heldSince: number | null;
}

export const NEWCOMER: Standing = { cut: null, heldSince: null, isMember: false, tracks: {} };

/** A member of which nothing else is known: it became one before there was any memory. */
export const KNOWN_MEMBER: Standing = { ...NEWCOMER, isMember: true };

/**
 * The standing after an epoch in which the node was `isMember`. Who is cut for its scores, and who
 * comes back from that, begins with a clean window; silence leaves it as it is.
 *
 * @param tracks with the values of this epoch
 * @param cut why it was cut for its scores, if it was
 * @param heldSince of the brake, if that is why it is still a member
 */
export function standingAfter(
  before: Standing,
  tracks: Standing['tracks'],
  isMember: boolean,
  cut: Standing['cut'],
  heldSince: number | null = null,
): Standing {
  const isCut = before.isMember && !isMember && cut !== null;
  const isBack = isMember && before.cut !== null;
  return {
    cut: isMember ? null : (before.cut ?? (isCut ? cut : null)),
    heldSince,
    isMember,
    tracks: isCut || isBack ? emptied(tracks) : tracks,
  };
}

function emptied(tracks: Standing['tracks']): Standing['tracks'] {
  return Object.fromEntries(
    Object.entries(tracks).map(([suite, { openedAt, heardAt }]) => [
      suite,
      { ...EMPTY_TRACK, openedAt, heardAt },
    ]),
  );
}
