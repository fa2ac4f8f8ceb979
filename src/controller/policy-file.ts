import { readFileSync } from 'node:fs';
import { fromBase64 } from '../contract/encoding.ts';
import { bytes32Field, suiteField } from '../contract/fields.ts';
import { type Schema, violation } from '../contract/schema.ts';
import type { AcceptedSigners } from './policy.ts';
import { type GivenSettings, SettingsError } from './settings.ts';

interface PolicyFile {
  threshold?: number;
  freshness_s?: number;
  epoch_s?: number;
  lifetime_s?: number;
  grace_s?: number;
  report_interval_s?: number;
  observe_only?: boolean;
  tunnel_prefix?: string;
  epoch_on_loopback?: boolean;
  suites?: { suite: string; min_samples?: number; signers?: AcceptedSigners }[];
  evaluators?: string[];
}

const policyFileSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    threshold: { type: 'number' },
    freshness_s: { type: 'number' },
    epoch_s: { type: 'number' },
    lifetime_s: { type: 'number' },
    grace_s: { type: 'number' },
    report_interval_s: { type: 'number' },
    observe_only: { type: 'boolean' },
    tunnel_prefix: { type: 'string' },
    epoch_on_loopback: { type: 'boolean' },
    suites: {
      type: 'array',
      minItems: 1,
      items: {
        type: 'object',
        required: ['suite'],
        additionalProperties: false,
        properties: {
          suite: suiteField,
          min_samples: { type: 'integer', minimum: 1 },
          signers: { type: 'string', enum: ['node', 'evaluators'] },
        },
      },
    },
    evaluators: { type: 'array', items: bytes32Field },
  },
} as const satisfies Schema;

/** Reads a policy file (JSON, docs/GOVERNANCE.md). Throws a `SettingsError` naming the field. */
export function readPolicyFile(path: string): GivenSettings {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new SettingsError(path, `a readable JSON file (${(error as Error).message})`);
  }
  const bad = violation(policyFileSchema, value);
  if (bad) throw new SettingsError(`${path}: ${bad.field || 'policy'}`, bad.expected);
  const file = value as PolicyFile;
  const given: Record<string, unknown> = {
    threshold: file.threshold,
    freshnessS: file.freshness_s,
    epochS: file.epoch_s,
    lifetimeS: file.lifetime_s,
    graceS: file.grace_s,
    reportIntervalS: file.report_interval_s,
    observeOnly: file.observe_only,
    tunnelPrefix: file.tunnel_prefix,
    epochOnLoopback: file.epoch_on_loopback,
    suites: file.suites?.map(({ suite, min_samples, signers }) => ({
      suite,
      minSamples: min_samples ?? 1,
      signers: signers ?? 'node',
    })),
    evaluators: file.evaluators?.map((key) => fromBase64(key, 32)!),
  };
  return Object.fromEntries(Object.entries(given).filter(([, one]) => one !== undefined));
}
