import type { PolicyAnswer, PolicyOutlook } from '../contract/policy.ts';
import { ruleText } from '../controller/policy/explain.ts';
import { documentOf } from '../controller/policy/write-document.ts';
import { everySuite } from '../controller/policy.ts';
import { readJson, readPolicyFile } from '../controller/policy-file.ts';
import { completeSettings } from '../controller/settings.ts';
import { SettingsError } from '../controller/settings-error.ts';
import { adminCall } from './admin-client.ts';
import { type AdminOptions, print } from './answer.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { listed } from './listed.ts';

/** `meshnet policy check FILE`. */
export function checkPolicy(file: string, options: { readonly json?: boolean }): void {
  const { policy } = explained(() => completeSettings(readPolicyFile(file)));
  const rules = everySuite(policy).map((rule) => `${rule.suite}: ${ruleText(rule)}`);
  print(
    options,
    { policy: documentOf(policy), rules },
    [`${file} is a policy`, ...rules].join('\n'),
  );
}

/** `meshnet policy show`. */
export async function showPolicy(options: AdminOptions): Promise<void> {
  const answer = await adminCall<PolicyAnswer>(options, 'GET', '/v1/policy');
  const { policy, rules, evaluators } = answer;
  const signed = evaluators.length === 0 ? [] : [`${evaluators.length} evaluators`];
  const text = [...rules, ...signed, JSON.stringify(policy, null, 2)].join('\n');
  print(options, answer, text);
}

/** `meshnet policy set FILE`. */
export async function setPolicy(
  file: string,
  options: AdminOptions & { readonly yes?: boolean; readonly dryRun?: boolean },
): Promise<void> {
  const document = explained(() => readJson(file)) as object;
  const change = (dry_run: boolean) =>
    adminCall<PolicyOutlook>(options, 'PUT', '/v1/policy', {
      document,
      dry_run,
      confirmed: options.yes === true,
    });
  const outlook = await change(true);
  if (options.dryRun) return print(options, outlook, outlookText(outlook));
  if (!options.json) print(options, outlook, outlookText(outlook));
  const answer = await change(false);
  print(options, answer, 'set: judged by it from the next epoch on');
}

function outlookText({ rules, members, cut, admitted, over_brake }: PolicyOutlook): string {
  const lost = cut.length === 0 ? '' : `: ${listed(cut)}`;
  const won =
    admitted.length === 0 ? [] : [`${admitted.length} would be let in: ${listed(admitted)}`];
  const brake = over_brake
    ? ['that is more than the brake believes: --yes says that it is meant']
    : [];
  return [
    ...rules,
    `${cut.length} of ${members} members would be cut${lost}`,
    ...won,
    ...brake,
  ].join('\n');
}

function explained<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    throw new CommandError(EXIT.usage, 'invalid_policy', error.message);
  }
}
