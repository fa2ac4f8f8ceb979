import { everySuite, type Policy, type Score, type SuiteRule } from '../policy.ts';
import { majority } from './reading.ts';

/** What shared silence is seen in. */
export interface SilenceEvidence {
  /** By node: the newest of each signer in each suite at least. */
  readonly scores: ReadonlyMap<string, readonly Score[]>;
  /** `keyid`s. */
  readonly evaluators: readonly string[];
  readonly now: number;
}

/**
 * Suites of which nobody can have a fresh score, and why. Silence that is shared is no node's fault:
 * evaluators that report about nobody, a suite that hardly any node has ever been measured in (it is
 * new, or its name is not that of the harness).
 */
export function sharedSilence(policy: Policy, evidence: SilenceEvidence): Map<string, string> {
  const excused = new Map<string, string>();
  for (const rule of everySuite(policy)) {
    const why = silenceOfEvaluators(rule, evidence) ?? unknownSuite(rule, policy, evidence.scores);
    if (why !== undefined) excused.set(rule.suite, why);
  }
  return excused;
}

function silenceOfEvaluators(
  rule: SuiteRule,
  { scores, evaluators, now }: SilenceEvidence,
): string | undefined {
  if (rule.signers !== 'evaluators') return undefined;
  const heard = new Set<string>();
  for (const ofNode of scores.values()) {
    for (const { suite, signer, receivedAt } of ofNode) {
      if (suite === rule.suite && now - receivedAt <= rule.maxAgeS * 1000) heard.add(signer);
    }
  }
  const present = evaluators.filter((one) => heard.has(one)).length;
  const needed = majority(evaluators.length);
  if (present >= needed) return undefined;
  return `${present} of the ${needed} evaluators needed have reported on anybody in ${rule.maxAgeS} s.`;
}

function unknownSuite(
  rule: SuiteRule,
  { suites, groups }: Policy,
  scores: ReadonlyMap<string, readonly Score[]>,
): string | undefined {
  const grouped = new Set(groups.flatMap((group) => group.nodes));
  const judged = new Set(
    groups.flatMap((group) => (group.suites.includes(rule) ? group.nodes : [])),
  );
  const isDefault = suites.includes(rule);
  let nodes = 0;
  let measured = 0;
  for (const [nodeId, ofNode] of scores) {
    if (!(isDefault ? !grouped.has(nodeId) : judged.has(nodeId))) continue;
    nodes++;
    if (ofNode.some((one) => one.suite === rule.suite)) measured++;
  }
  if (nodes === 0 || measured * 2 >= nodes) return undefined;
  return `${measured} of ${nodes} nodes have ever been measured in ${rule.suite}.`;
}
