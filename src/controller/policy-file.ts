import { readFileSync } from 'node:fs';
import { fromBase64 } from '../contract/encoding.ts';
import { bytes32Field, suiteField } from '../contract/fields.ts';
import { exactly, type FromSchema } from '../contract/from-schema.ts';
import type { Schema } from '../contract/schema.ts';
import { judgementProperties, mustConform, policyOf, withoutUndefined } from './policy/document.ts';
import { PLAIN_RULE } from './policy.ts';
import type { GivenSettings } from './settings.ts';
import { SettingsError } from './settings-error.ts';

/** What files of both versions can say besides who may stay. */
const meshProperties = {
  epoch_s: { type: 'number' },
  lifetime_s: { type: 'number' },
  grace_s: { type: 'number' },
  pairwise_up_to: { type: ['integer', 'null'] },
  report_interval_s: { type: 'number' },
  observe_only: { type: 'boolean' },
  tunnel_prefix: { type: 'string' },
  witness: exactly(
    { needed: { type: 'integer' }, within_epochs: { type: 'integer' } },
    { binding: { type: 'boolean' } },
  ),
  record: exactly(
    {},
    {
      log: { type: 'string', enum: ['members', 'everybody'] },
      verdicts: { type: 'string', enum: ['own', 'members', 'everybody'] },
    },
  ),
  epoch_on_loopback: { type: 'boolean' },
  evaluators: { type: 'array', items: bytes32Field },
} as const satisfies Record<string, Schema>;

const meshSchema = exactly({}, meshProperties);

/** Version 1, which names none: one threshold and one freshness for all suites, the plain rule. */
const firstSchema = exactly(
  {},
  {
    ...meshProperties,
    threshold: { type: 'number' },
    freshness_s: { type: 'number' },
    suites: {
      type: 'array',
      minItems: 1,
      items: exactly(
        { suite: suiteField },
        {
          min_samples: { type: 'integer', minimum: 1 },
          signers: { type: 'string', enum: ['node', 'evaluators'] },
        },
      ),
    },
  },
);

/** Version 2. */
export const policySchema = exactly(
  { version: { type: 'integer', const: 2 } },
  { ...meshProperties, ...judgementProperties },
);

export type PolicyDocument = FromSchema<typeof policySchema>;

/** Reads a policy file (JSON, docs/GOVERNANCE.md). Throws a `SettingsError` naming the field. */
export function readPolicyFile(path: string): GivenSettings {
  return readPolicy(readJson(path), `${path}: `);
}

/** The content of a file. Throws a `SettingsError`. */
export function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new SettingsError(path, `a readable JSON file (${(error as Error).message})`);
  }
}

/**
 * Settings that a policy document of either version gives. Throws a `SettingsError` naming the field.
 *
 * @param of where it is from, before the name of a field
 */
export function readPolicy(value: unknown, of = ''): GivenSettings {
  const isFirst = typeof value !== 'object' || value === null || !Object.hasOwn(value, 'version');
  mustConform(isFirst ? firstSchema : policySchema, value, of);
  return isFirst
    ? readFirst(value as FromSchema<typeof firstSchema>)
    : readSecond(value as PolicyDocument);
}

/** What it does not say, the plain rule does: a file goes on meaning what it always meant. */
function readFirst(file: FromSchema<typeof firstSchema>): GivenSettings {
  return {
    ...meshSettings(file),
    ...withoutUndefined({ threshold: file.threshold, freshnessS: file.freshness_s }),
    suites: file.suites?.map(({ suite, min_samples, signers }) => ({
      suite,
      minSamples: min_samples ?? 1,
      signers: signers ?? 'node',
    })) ?? [{ suite: PLAIN_RULE.suite }],
    brake: null,
  };
}

function readSecond(document: PolicyDocument): GivenSettings {
  return { ...meshSettings(document), ...policyOf(document) };
}

function meshSettings(file: FromSchema<typeof meshSchema>): GivenSettings {
  return withoutUndefined({
    epochS: file.epoch_s,
    lifetimeS: file.lifetime_s,
    graceS: file.grace_s,
    pairwiseUpTo: file.pairwise_up_to,
    reportIntervalS: file.report_interval_s,
    observeOnly: file.observe_only,
    tunnelPrefix: file.tunnel_prefix,
    witness: file.witness && {
      needed: file.witness.needed,
      withinEpochs: file.witness.within_epochs,
      isBinding: file.witness.binding ?? false,
    },
    recordReaders: file.record && {
      log: file.record.log ?? 'members',
      verdicts: file.record.verdicts ?? 'members',
    },
    epochOnLoopback: file.epoch_on_loopback,
    evaluators: file.evaluators?.map((key) => fromBase64(key, 32)!),
  });
}
