import { isDeepStrictEqual } from 'node:util';
import { toBase64 } from '../../contract/encoding.ts';
import type { PolicyAnswer, PolicyChange, PolicyOutlook } from '../../contract/policy.ts';
import { accepted, type Checked, rejected } from '../../contract/problems.ts';
import type { Outlook } from '../outlook.ts';
import { DEFAULT_BRAKE } from '../policy/document.ts';
import { ruleText } from '../policy/explain.ts';
import { documentOf } from '../policy/write-document.ts';
import { everySuite, type Policy } from '../policy.ts';
import { readPolicy } from '../policy-file.ts';
import type { Services } from '../services.ts';
import { completeSettings, type GivenSettings, type Settings } from '../settings.ts';
import { SettingsError } from '../settings-error.ts';
import { atLeast } from './authorise.ts';
import type { Caller } from './caller.ts';
import { NEEDED } from './needed-roles.ts';
import { noteAsked } from './note-asked.ts';

/** The policy in force. */
export async function showPolicy(
  services: Services,
  caller: Caller,
): Promise<Checked<PolicyAnswer>> {
  const actor = await atLeast(services, caller, NEEDED.showPolicy);
  if (!actor.ok) return actor;
  return accepted(policyInForce(services));
}

/** The same, for who may read it anyhow. */
export function policyInForce({ settings }: Pick<Services, 'settings'>): PolicyAnswer {
  const { policy, evaluators } = settings;
  return {
    policy: documentOf(policy) as unknown as PolicyAnswer['policy'],
    rules: rulesOf(policy),
    evaluators: evaluators.map(toBase64),
  };
}

/** The settings with the policy of another document; a problem names the field that cannot be. */
export function settingsWith(
  { settings }: Pick<Services, 'settings'>,
  document: unknown,
): Checked<Settings> {
  try {
    return accepted(replaced(settings, readPolicy(document)));
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    return rejected('invalid_field', { field: error.field, expected: error.expected });
  }
}

/**
 * Sets another policy, in force from the next epoch on, and says whom it would cut. What would cut more
 * than the brake believes must be confirmed. A document that cannot be changes nothing.
 */
export async function setPolicy(
  services: Services,
  caller: Caller,
  { document, dry_run, confirmed }: PolicyChange,
): Promise<Checked<PolicyOutlook>> {
  const actor = await atLeast(services, caller, NEEDED.setPolicy);
  if (!actor.ok) return actor;
  const { settings, governor, emit, keepPolicy } = services;
  const read = settingsWith(services, document);
  if (!read.ok) return read;
  const next = read.value;
  const outlook = await governor.outlook(next);
  const isOver = isOverBrake(outlook, settings.policy);
  const rules = rulesOf(next.policy);
  const answer = { ...outlook, rules, over_brake: isOver };
  if (dry_run) return accepted({ ...answer, set: false });
  if (isOver && !confirmed) {
    const detail = `${outlook.cut.length} of ${outlook.members} members would be cut: ${outlook.cut.join(', ')}. Say that it is meant (--yes), or mend it.`;
    return rejected('policy_over_brake', { detail: detail.slice(0, 2000) });
  }
  await noteAsked(services, actor.value, 'set_policy');
  await keepPolicy(document);
  await governor.setPolicy(next);
  emit({ event: 'policy_set', rules, would_cut: outlook.cut, members: outlook.members });
  return accepted({ ...answer, set: true });
}

/**
 * Settings with another policy and its evaluators, all that a document may change while the controller
 * runs. Throws a `SettingsError` for what can only be set at its start.
 */
function replaced(settings: Settings, given: GivenSettings): Settings {
  const { threshold, freshnessS, suites, groups, exempt, brake, evaluators, ...fixed } = given;
  for (const [name, value] of Object.entries(fixed)) {
    const present = settings[name as keyof typeof fixed];
    if (!isDeepStrictEqual(value, present)) {
      const expected = `${JSON.stringify(present)}, as since the start`;
      throw new SettingsError(FIELDS[name] ?? name, expected);
    }
  }
  const { policy: _, evaluators: known, ...mesh } = settings;
  const judged = { threshold, freshnessS, suites, groups, exempt, brake };
  const defined = Object.fromEntries(Object.entries(judged).filter(([, one]) => one !== undefined));
  return completeSettings({ ...mesh, ...defined, evaluators: evaluators ?? known });
}

/** Names in a document of what is set at the start. */
const FIELDS: Readonly<Record<string, string>> = {
  epochS: 'epoch_s',
  lifetimeS: 'lifetime_s',
  graceS: 'grace_s',
  pairwiseUpTo: 'pairwise_up_to',
  reportIntervalS: 'report_interval_s',
  observeOnly: 'observe_only',
  tunnelPrefix: 'tunnel_prefix',
  witness: 'witness',
  recordReaders: 'record',
  epochOnLoopback: 'epoch_on_loopback',
};

/** By the brake in force, so that a policy cannot talk itself out of it. */
function isOverBrake({ cut, members }: Outlook, { brake }: Policy): boolean {
  const { freezeAbove } = brake ?? DEFAULT_BRAKE;
  return cut.length > Math.max(1, Math.floor(freezeAbove * members + 1e-9));
}

export function rulesOf(policy: Policy): string[] {
  return everySuite(policy).map((rule) => `${rule.suite}: ${ruleText(rule)}`);
}
