import type { BrakeStatus } from '../contract/epoch.ts';
import type { Epoch } from './epoch.ts';
import type { BrakeParameters } from './policy.ts';

/**
 * What the brake does in an epoch, as the epoch itself tells: null where it holds nobody. So it is the
 * same after a restart.
 */
export function brakeStatus(
  epoch: Epoch | undefined,
  parameters: BrakeParameters | null,
  epochMs: number,
): BrakeStatus | null {
  const held = epoch?.decisions.filter((one) => one.reason === 'held_by_brake') ?? [];
  if (epoch === undefined || parameters === null || held.length === 0) return null;
  const starts = held.flatMap(({ standing }) => standing?.heldSince ?? []);
  const since = starts.length > 0 ? Math.min(...starts) : null;
  const until = since === null ? null : since + parameters.freezeEpochs * epochMs;
  // As in `brake`: boundaries are not met to the millisecond.
  const isFrozen = until !== null && epoch.startedAt < until - epochMs / 2;
  return {
    phase: isFrozen ? 'frozen' : 'capped',
    since,
    until: isFrozen ? until : null,
    held: held.map((one) => one.nodeId),
    cut: epoch.removed.length,
  };
}
