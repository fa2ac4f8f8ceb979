import type { NodeVerdict } from '../epoch.ts';
import type { BrakeParameters } from '../policy.ts';
import { type Braked, brake, type Condemned } from './brake.ts';
import type { Judgement } from './judge.ts';

/** What the brake left of the verdicts on a mesh. */
export interface BrakedMesh {
  readonly verdicts: ReadonlyMap<string, NodeVerdict>;
  readonly braked: Braked;
  readonly members: number;
  readonly condemned: readonly string[];
}

const NOBODY: Braked = { phase: 'open', since: null, until: null, held: [] };

/** Lets the brake have its say: whoever it holds has `held` in the verdict. */
export function brakeMesh(
  parameters: BrakeParameters,
  verdicts: ReadonlyMap<string, NodeVerdict>,
  moment: { readonly now: number; readonly epochMs: number },
): BrakedMesh {
  const condemned: Condemned[] = [];
  let members = 0;
  let since: number | null = null;
  for (const [nodeId, { verdict, judged, allowedIfFresh }] of verdicts) {
    if (judged === undefined || !judged.standing.isMember || verdict.reason === 'exempt') continue;
    members++;
    const { heldSince } = judged.standing;
    if (heldSince !== null) since = Math.min(since ?? heldSince, heldSince);
    const isCut = !verdict.allowed && allowedIfFresh !== true;
    if (isCut) condemned.push({ nodeId, lack: lackOf(judged.judgement) });
  }
  if (condemned.length === 0) return { verdicts, braked: NOBODY, members, condemned: [] };
  const braked = brake(parameters, condemned, members, since, moment);
  const why = sentenceOf(braked, parameters, condemned.length, members);
  const held = { since: braked.since, why };
  const after = new Map(verdicts);
  for (const nodeId of braked.held) after.set(nodeId, { ...verdicts.get(nodeId)!, held });
  return { verdicts: after, braked, members, condemned: condemned.map((one) => one.nodeId) };
}

/** How far the worst suite is under its threshold; who is only silent comes last. */
function lackOf({ findings }: Judgement): number {
  return findings.reduce((worst, { reason, reading, rule }) => {
    if (reason !== 'score_below_threshold' || reading.kind === 'missing') return worst;
    return Math.max(worst, rule.threshold - reading.score);
  }, Number.NEGATIVE_INFINITY);
}

function sentenceOf(
  { phase, held }: Braked,
  { freezeEpochs }: BrakeParameters,
  condemned: number,
  members: number,
): string {
  return phase === 'frozen'
    ? `Held by the brake: ${condemned} of ${members} members would be cut at once, so nobody is, for ${freezeEpochs} epochs or until an operator has decided.`
    : `Held by the brake: ${condemned} of ${members} members would be cut, and one epoch cuts ${condemned - held.length} of them, the worst first.`;
}
