import { compareNodeIds } from '../contract/ids.ts';
import type { Verdict } from './policy.ts';

/** Orders everything the controller says: epochs never go back, versions grow with every commit. */
export interface EpochVersion {
  readonly epoch: number;
  readonly version: number;
}

export interface Member {
  readonly nodeId: string;
  /** Epoch since which it has been a member without a break. */
  readonly sinceEpoch: number;
}

/** A decided epoch, as it is stored. */
export interface Epoch extends EpochVersion {
  /** Controller's wall clock, ms. */
  readonly startedAt: number;
  /** Ids in byte order. */
  readonly members: readonly Member[];
  /** Members of the epoch before that are not members of this one, ids in byte order. */
  readonly removed: readonly string[];
  /** Verdict on every node that was enrolled when it was decided, also on those denied. */
  readonly verdicts: Readonly<Record<string, Verdict>>;
  /** 32 bytes; undefined once the epoch is over. */
  readonly secret: Uint8Array | undefined;
}

/** The epoch after `previous`: pure, everything it depends on is an argument. */
export function nextEpoch(
  previous: Epoch | undefined,
  verdicts: ReadonlyMap<string, Verdict>,
  options: { startedAt: number; secret: Uint8Array; observeOnly: boolean; jump?: number },
): Epoch {
  const jump = options.jump ?? 0;
  const epoch = (previous?.epoch ?? 0) + 1 + jump;
  const since = new Map(previous?.members.map((one) => [one.nodeId, one.sinceEpoch]));
  const members = [...verdicts]
    .filter(([, verdict]) => verdict.allowed || options.observeOnly)
    .map(([nodeId]) => ({ nodeId, sinceEpoch: since.get(nodeId) ?? epoch }))
    .sort((a, b) => compareNodeIds(a.nodeId, b.nodeId));
  const isMember = new Set(members.map((one) => one.nodeId));
  return {
    epoch,
    version: (previous?.version ?? 0) + 1 + jump,
    startedAt: options.startedAt,
    members,
    removed: [...since.keys()].filter((id) => !isMember.has(id)).sort(compareNodeIds),
    verdicts: Object.fromEntries(verdicts),
    secret: options.secret,
  };
}

/**
 * The first boundary after `now`. Boundaries are whole multiples of the period from `anchor` on,
 * so a late timer or a slow commit never shifts the ones after it.
 */
export function nextBoundary(anchor: number, periodMs: number, now: number): number {
  return anchor + (Math.floor((now - anchor) / periodMs) + 1) * periodMs;
}

/**
 * After a start, an old epoch goes on until every one of its members has reported again, or until
 * `deadline`: scores grew old while nobody could report them, and that is not the members' fault.
 */
export function mayDecideAfterStart(
  previous: Epoch | undefined,
  reportedSinceStart: ReadonlySet<string>,
  now: number,
  deadline: number,
): boolean {
  if (previous === undefined || now >= deadline) return true;
  return previous.members.every((one) => reportedSinceStart.has(one.nodeId));
}
