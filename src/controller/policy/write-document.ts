import type { Policy, SuiteRule } from '../policy.ts';
import type { JudgementDocument, SuiteDocument } from './document.ts';
import { cutRule } from './rules/kinds.ts';

/** A policy as a document of version 2 that leaves nothing out: reading it gives the same policy. */
export function documentOf(policy: Policy): JudgementDocument & { readonly version: 2 } {
  const { suites, groups, exempt, brake } = policy;
  return {
    version: 2,
    suites: suites.map(suiteDocument),
    groups: groups.map(({ name, nodes, suites: own }) => ({
      name,
      nodes,
      suites: own.map(suiteDocument),
    })),
    exempt,
    brake: brake && {
      max_cut: brake.maxCut,
      freeze_above: brake.freezeAbove,
      freeze_epochs: brake.freezeEpochs,
      min_members: brake.minMembers,
    },
  };
}

function suiteDocument(rule: SuiteRule): SuiteDocument {
  return {
    suite: rule.suite,
    threshold: rule.threshold,
    max_age_s: rule.maxAgeS,
    report_interval_s: rule.reportIntervalS,
    min_samples: rule.minSamples,
    signers: rule.signers,
    score: rule.score,
    cut: cutRule(rule.cut.kind).write(rule.cut) as NonNullable<SuiteDocument['cut']>,
    readmit: rule.readmit,
    back: rule.back,
    when_stale: rule.whenStale,
  };
}
