import {
  type BrakeParameters,
  type NodeGroup,
  PLAIN_CUT,
  PLAIN_RULE,
  type Policy,
  type SuiteRule,
} from '../policy.ts';
import { SettingsError } from '../settings-error.ts';
import { integer, number } from './bounds.ts';
import { MOST_VALUES } from './most-values.ts';
import { cutRule, type GivenCut } from './rules/kinds.ts';

/** A suite as it is given: what is left out is as in the plain rule. */
export type GivenSuite = { readonly suite: string; readonly cut?: GivenCut } & Partial<
  Omit<SuiteRule, 'cut'>
>;

/** A policy as it is given. */
export interface GivenPolicy {
  /** Of the suites that name none of their own. */
  readonly threshold?: number;
  readonly freshnessS?: number;
  readonly suites?: readonly GivenSuite[];
  readonly groups?: readonly (Omit<NodeGroup, 'suites'> & {
    readonly suites: readonly GivenSuite[];
  })[];
  readonly exempt?: readonly string[];
  readonly brake?: BrakeParameters | null;
}

/** Lengths that defaults are made of, seconds. */
export interface Lengths {
  readonly epochS: number;
  readonly reportIntervalS: number;
}

/** A sentence about a verdict names suites; configs have room for so many. */
const MAX_SUITES = 16;
const MAX_GROUPS = 64;
const MAX_NAMED_NODES = 10_000;
const LONGEST_AGE_S = 30 * 86_400;

/** Fills in what was left out and checks the whole. Throws a `SettingsError` naming the field. */
export function completePolicy(given: GivenPolicy, lengths: Lengths): Policy {
  number('threshold', given.threshold ?? PLAIN_RULE.threshold, 0, 1);
  number('freshness', given.freshnessS ?? 2 * lengths.epochS, 0.1, 86_400);
  const policy: Policy = {
    suites: completeSuites(given.suites ?? [PLAIN_RULE_NAME], 'suites', given, lengths),
    groups: (given.groups ?? []).map(({ name, nodes, suites }, index) => ({
      name,
      nodes,
      suites: completeSuites(suites, `groups[${index}].suites`, given, lengths),
    })),
    exempt: given.exempt ?? [],
    brake: given.brake ?? null,
  };
  checkGroups(policy);
  if (policy.brake !== null) checkBrake(policy.brake);
  return policy;
}

const PLAIN_RULE_NAME: GivenSuite = { suite: PLAIN_RULE.suite };

function completeSuites(
  suites: readonly GivenSuite[],
  field: string,
  given: GivenPolicy,
  lengths: Lengths,
): SuiteRule[] {
  if (suites.length === 0 || suites.length > MAX_SUITES) {
    throw new SettingsError(field, `1 to ${MAX_SUITES} suites`);
  }
  const names = suites.map((one) => one.suite);
  const twice = names.findIndex((name, index) => names.indexOf(name) !== index);
  if (twice >= 0) {
    throw new SettingsError(`${field}[${twice}].suite`, 'a name of its own for each');
  }
  return suites.map((one, index) => completeSuite(one, `${field}[${index}]`, given, lengths));
}

function completeSuite(
  one: GivenSuite,
  field: string,
  given: GivenPolicy,
  { epochS, reportIntervalS }: Lengths,
): SuiteRule {
  const threshold = one.threshold ?? given.threshold ?? PLAIN_RULE.threshold;
  const cut = one.cut ?? PLAIN_CUT;
  const rule: SuiteRule = {
    suite: one.suite,
    threshold,
    maxAgeS: one.maxAgeS ?? given.freshnessS ?? 2 * epochS,
    reportIntervalS: one.reportIntervalS ?? reportIntervalS,
    minSamples: one.minSamples ?? PLAIN_RULE.minSamples,
    signers: one.signers ?? PLAIN_RULE.signers,
    score: one.score ?? PLAIN_RULE.score,
    cut: { ...cut, ...cutRule(cut.kind).complete(cut, threshold) },
    readmit: one.readmit ?? threshold,
    back: one.back ?? PLAIN_RULE.back,
    whenStale: one.whenStale ?? PLAIN_RULE.whenStale,
  };
  number(`${field}.threshold`, threshold, 0, 1);
  number(`${field}.max_age_s`, rule.maxAgeS, 0.1, LONGEST_AGE_S);
  // A score is made and taken before it can age: one report may always be on its way.
  const interval =
    one.reportIntervalS === undefined ? 'report interval' : `${field}.report_interval_s`;
  number(interval, rule.reportIntervalS, 0.05, rule.maxAgeS);
  integer(`${field}.min_samples`, rule.minSamples, 1, 1e9);
  // Below the threshold it would let in who is out at the same time.
  number(`${field}.readmit`, rule.readmit, threshold, 1);
  integer(`${field}.back`, rule.back, 1, MOST_VALUES);
  cutRule(cut.kind).check(rule.cut, `${field}.cut`);
  return rule;
}

function checkGroups({ groups, exempt }: Policy): void {
  if (groups.length > MAX_GROUPS) throw new SettingsError('groups', `at most ${MAX_GROUPS}`);
  const seen = new Set<string>();
  const once = (node: string, field: string) => {
    if (seen.has(node)) throw new SettingsError(field, 'each node in one group, or exempt, once');
    seen.add(node);
    if (seen.size > MAX_NAMED_NODES)
      throw new SettingsError(field, `at most ${MAX_NAMED_NODES} nodes`);
  };
  groups.forEach(({ name, nodes }, index) => {
    const field = `groups[${index}]`;
    if (groups.findIndex((other) => other.name === name) !== index) {
      throw new SettingsError(`${field}.name`, 'a name of its own for each');
    }
    if (nodes.length === 0) throw new SettingsError(`${field}.nodes`, 'at least one node');
    for (const [at, node] of nodes.entries()) once(node, `${field}.nodes[${at}]`);
  });
  for (const [index, node] of exempt.entries()) once(node, `exempt[${index}]`);
}

function checkBrake({ maxCut, freezeAbove, freezeEpochs, minMembers }: BrakeParameters): void {
  const share = (field: string, value: number) => {
    if (!(value > 0 && value <= 1)) {
      throw new SettingsError(field, 'a share of the members over 0, up to 1');
    }
  };
  share('brake.max_cut', maxCut);
  share('brake.freeze_above', freezeAbove);
  integer('brake.freeze_epochs', freezeEpochs, 0, 10_000);
  integer('brake.min_members', minMembers, 0, MAX_NAMED_NODES);
}
