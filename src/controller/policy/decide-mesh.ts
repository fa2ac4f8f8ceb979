import type { NodeVerdict } from '../epoch.ts';
import type { Policy, Verdict } from '../policy.ts';
import { type BrakedMesh, brakeMesh } from './brake-mesh.ts';
import { judgeMesh, type MeshEvidence } from './judge-mesh.ts';
import { sharedSilence } from './shared-silence.ts';

/** All that decides about a mesh, besides the policy. */
export interface MeshState extends MeshEvidence {
  /** `keyid`s. */
  readonly evaluators: readonly string[];
  /** Whether other members could reach a node that is to become one. */
  readonly isReachable: (nodeId: string) => boolean;
  /** Verdicts are made, but nobody is cut. */
  readonly observeOnly: boolean;
}

/**
 * What the epoch that begins at `now` makes of every node: silence that is shared is excused, each node
 * is judged by its suites, and the brake limits how many are cut. Pure.
 */
export function decideMesh(
  policy: Policy,
  state: MeshState,
  { now, epochMs }: { readonly now: number; readonly epochMs: number },
): Pick<BrakedMesh, 'verdicts'> & Partial<BrakedMesh> {
  const { scores, evaluators } = state;
  const excused = sharedSilence(policy, { scores, evaluators, now });
  const verdicts = judgeMesh(policy, state, { now, epochMs, excused });
  for (const [nodeId, one] of verdicts) {
    const isNew = one.verdict.allowed && one.judged?.standing.isMember !== true;
    if (isNew && !state.isReachable(nodeId)) verdicts.set(nodeId, unreached(one));
  }
  if (policy.brake === null || state.observeOnly) return { verdicts };
  return brakeMesh(policy.brake, verdicts, { now, epochMs });
}

/** Nobody becomes a member who has not fetched a config: no other member could reach it. */
function unreached(one: NodeVerdict): NodeVerdict {
  const explanation =
    'Its scores would do, but it has not fetched a config since the controller started. ' +
    'If that goes on, its requests are refused: its log says why.';
  const verdict: Verdict = {
    ...one.verdict,
    allowed: false,
    reason: 'no_config_fetched',
    explanation,
  };
  return { ...one, verdict };
}
