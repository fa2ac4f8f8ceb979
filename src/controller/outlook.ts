import { compareNodeIds } from '../contract/ids.ts';
import { type Epoch, membersOf, type NodeVerdict } from './epoch.ts';

/** What another policy would make of the mesh as it is; ids in byte order. */
export interface Outlook {
  readonly members: number;
  readonly cut: readonly string[];
  readonly admitted: readonly string[];
}

/** Who of the members of `epoch` would go by these verdicts, and who would come. */
export function outlookOf(
  epoch: Epoch | undefined,
  verdicts: ReadonlyMap<string, NodeVerdict>,
): Outlook {
  const members = membersOf(epoch);
  const ids = (which: (nodeId: string, allowed: boolean) => boolean) =>
    [...verdicts]
      .filter(([id, { verdict, allowedIfFresh }]) =>
        which(id, verdict.allowed || allowedIfFresh === true),
      )
      .map(([id]) => id)
      .sort(compareNodeIds);
  return {
    members: members.size,
    cut: ids((id, allowed) => members.has(id) && !allowed),
    admitted: ids((id, allowed) => !members.has(id) && allowed),
  };
}
