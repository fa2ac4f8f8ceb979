import type { NodeVerdict } from '../epoch.ts';
import type { Policy, Score, SignersOf, SuiteRule, Verdict } from '../policy.ts';
import { verdictOf } from './explain.ts';
import { judge, type Moment } from './judge.ts';
import { NEWCOMER, type Standing } from './standing.ts';

/** What is known of a mesh when its nodes are judged. */
export interface MeshEvidence {
  readonly nodeIds: Iterable<string>;
  /** By node: see `Evidence`. */
  readonly scores: ReadonlyMap<string, readonly Score[]>;
  readonly signersOf: (nodeId: string) => SignersOf;
  readonly standings: ReadonlyMap<string, Standing>;
  /** Members whose report is missing because the controller was away. */
  readonly isAwaited: (nodeId: string) => boolean;
  /** Makes verdicts of judgements; default: with sentences for people. */
  readonly describe?: typeof verdictOf;
}

/** What the policy says of every node at `moment`, each for itself. */
export function judgeMesh(
  policy: Policy,
  evidence: MeshEvidence,
  moment: Moment,
): Map<string, NodeVerdict> {
  const verdicts = new Map<string, NodeVerdict>();
  const ofGroups = new Map(
    policy.groups.flatMap(({ nodes, suites }) => nodes.map((nodeId) => [nodeId, suites])),
  );
  const exempt = new Set(policy.exempt);
  const { describe = verdictOf } = evidence;
  for (const nodeId of evidence.nodeIds) {
    const suites = ofGroups.get(nodeId) ?? policy.suites;
    const standing = evidence.standings.get(nodeId) ?? NEWCOMER;
    const scores = evidence.scores.get(nodeId) ?? [];
    const known = { scores, signersOf: evidence.signersOf(nodeId), standing };
    const judgement = judge(suites, known, moment);
    const said = describe(judgement, standing);
    const verdict = exempt.has(nodeId) ? exempted(said) : said;
    const judged = { standing, judgement };
    verdicts.set(
      nodeId,
      evidence.isAwaited(nodeId)
        ? { verdict, judged, allowedIfFresh: judge(suites.map(ageless), known, moment).allowed }
        : { verdict, judged },
    );
  }
  return verdicts;
}

function exempted(verdict: Verdict): Verdict {
  const explanation = `Exempt: a member whatever its scores. ${verdict.explanation}`;
  return { ...verdict, allowed: true, reason: 'exempt', explanation };
}

function ageless(rule: SuiteRule): SuiteRule {
  return { ...rule, maxAgeS: Number.POSITIVE_INFINITY };
}
