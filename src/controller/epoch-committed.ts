import { type Epoch, membersOf } from './epoch.ts';
import type { ControllerEvent, VerdictChange } from './events.ts';

/**
 * What is said of an epoch when it is on the disk: all but its secret. `previous`: the one before;
 * undefined where there was none. `commitMs`: until the commit was durable.
 */
export function epochCommitted(
  previous: Epoch | undefined,
  epoch: Epoch,
  commitMs: number,
): Extract<ControllerEvent, { event: 'epoch_committed' }> {
  const { decisions } = epoch;
  const names = (which: (one: Epoch['decisions'][number]) => boolean): string[] =>
    decisions.filter(which).map((one) => one.nodeId);
  return {
    event: 'epoch_committed',
    epoch: epoch.epoch,
    version: epoch.version,
    started_at: epoch.startedAt,
    members: [...membersOf(epoch).keys()],
    removed: epoch.removed,
    denied: names((one) => !one.allowed),
    would_deny: names((one) => one.reason.startsWith('observed_')),
    changes: changesSince(previous, epoch),
    commit_ms: Math.round(commitMs * 1000) / 1000,
  };
}

function changesSince(previous: Epoch | undefined, { decisions }: Epoch): VerdictChange[] {
  const before = new Map(previous?.decisions.map((one) => [one.nodeId, one]));
  return decisions
    .filter((one) => {
      const old = before.get(one.nodeId);
      return old?.allowed !== one.allowed || old.reason !== one.reason;
    })
    .map(({ nodeId, allowed, reason, explanation }) => ({
      node: nodeId,
      allowed,
      before: before.get(nodeId)?.allowed ?? null,
      reason,
      explanation,
    }));
}
