import { isNodeId, nodeIdOfMachine } from '../contract/ids.ts';
import type { PodIdentity } from './token-review.ts';

/** Whose pods may enrol, by service account (`NAMESPACE/NAME`). */
export interface Admission {
  /** As a node of the pod's name. */
  readonly pods: ReadonlySet<string>;
  /** As a node of the name of the machine that the pod runs on. */
  readonly machines: ReadonlySet<string>;
}

export type Admitted =
  | { readonly ok: true; readonly nodeId: string }
  | { readonly ok: false; readonly reason: string };

/** The name of the node that this pod may enrol as, or why none. */
export function admit(
  { pods, machines }: Admission,
  { account, pod, machine }: PodIdentity,
): Admitted {
  if (machines.has(account)) {
    if (machine === undefined) {
      return refused(
        'Kubernetes did not say on which machine the pod runs: 1.30 or newer is needed',
      );
    }
    const nodeId = nodeIdOfMachine(machine);
    return nodeId === undefined
      ? refused(`the machine's name ${machine} makes no node name (1 to 63 of a-z, 0-9 and hyphen)`)
      : { ok: true, nodeId };
  }
  if (!pods.has(account)) return refused(`pods of the service account ${account} may not enrol`);
  if (pod === undefined) return refused('the token is not of a pod');
  return isNodeId(pod)
    ? { ok: true, nodeId: pod }
    : refused(`the pod's name ${pod} is no node name (1 to 63 of a-z, 0-9 and hyphen)`);
}

function refused(reason: string): Admitted {
  return { ok: false, reason };
}
