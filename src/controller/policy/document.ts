import { nodeIdField, suiteField } from '../../contract/fields.ts';
import { type Schema, violation } from '../../contract/schema.ts';
import type { AcceptedSigners, BrakeParameters, ScoreKind } from '../policy.ts';
import { SettingsError } from '../settings-error.ts';
import type { GivenCut, GivenPolicy, GivenSuite } from './complete.ts';

/** What a policy document says of one suite; what it leaves out is as in the plain rule. */
export interface SuiteDocument {
  readonly suite: string;
  readonly threshold?: number;
  readonly max_age_s?: number;
  readonly report_interval_s?: number;
  readonly min_samples?: number;
  readonly signers?: AcceptedSigners;
  readonly score?: ScoreKind;
  readonly cut?: CutDocument;
  readonly readmit?: number;
  readonly back?: number;
  readonly when_stale?: 'cut' | 'hold';
}

export type CutDocument =
  | 1
  | {
      readonly of?: number;
      readonly failed?: number;
      readonly cusum?: { readonly ref?: number; readonly h: number };
      readonly confidence?: number;
    };

export interface BrakeDocument {
  readonly max_cut?: number;
  readonly freeze_above?: number;
  readonly freeze_epochs?: number;
  readonly min_members?: number;
}

/** The part of a policy document, version 2, that says who may stay. */
export interface JudgementDocument {
  readonly suites?: readonly SuiteDocument[];
  readonly brake?: BrakeDocument | null;
  readonly exempt?: readonly string[];
  readonly groups?: readonly {
    readonly name: string;
    readonly nodes: readonly string[];
    readonly suites: readonly SuiteDocument[];
  }[];
}

/** What a brake does not say. */
export const DEFAULT_BRAKE: BrakeParameters = {
  maxCut: 0.2,
  freezeAbove: 0.3,
  freezeEpochs: 3,
  minMembers: 0,
};

const number = { type: 'number' } as const satisfies Schema;
const integer = { type: 'integer' } as const satisfies Schema;

const suitesSchema = {
  type: 'array',
  items: {
    type: 'object',
    required: ['suite'],
    additionalProperties: false,
    properties: {
      suite: suiteField,
      threshold: number,
      max_age_s: number,
      report_interval_s: number,
      min_samples: integer,
      signers: { type: 'string', enum: ['node', 'evaluators'] },
      score: { type: 'string', enum: ['newest', 'mean'] },
      cut: {
        type: ['integer', 'object'],
        minimum: 1,
        maximum: 1,
        description: '1, {"of": n, "failed": k}, {"cusum": {"h": h}} or {"confidence": level}',
        additionalProperties: false,
        properties: {
          of: integer,
          failed: integer,
          cusum: {
            type: 'object',
            required: ['h'],
            additionalProperties: false,
            properties: { ref: number, h: number },
          },
          confidence: number,
        },
      },
      readmit: number,
      back: integer,
      when_stale: { type: 'string', enum: ['cut', 'hold'] },
    },
  },
} as const satisfies Schema;

/** Properties of `JudgementDocument`, for the schema of the whole document. */
export const judgementProperties = {
  suites: suitesSchema,
  brake: {
    type: ['object', 'null'],
    additionalProperties: false,
    properties: {
      max_cut: number,
      freeze_above: number,
      freeze_epochs: integer,
      min_members: integer,
    },
  },
  exempt: { type: 'array', items: nodeIdField },
  groups: {
    type: 'array',
    items: {
      type: 'object',
      required: ['name', 'nodes', 'suites'],
      additionalProperties: false,
      properties: {
        name: suiteField,
        nodes: { type: 'array', items: nodeIdField },
        suites: suitesSchema,
      },
    },
  },
} as const satisfies Record<string, Schema>;

/** A document that has the shape of its schema, as a policy to complete. Throws a `SettingsError`. */
export function policyOf(document: JudgementDocument): GivenPolicy {
  const { suites, brake, exempt, groups } = document;
  return {
    ...(suites === undefined ? {} : { suites: suites.map(suiteOf('suites')) }),
    ...(groups === undefined
      ? {}
      : {
          groups: groups.map(({ name, nodes, suites: own }, index) => ({
            name,
            nodes,
            suites: own.map(suiteOf(`groups[${index}].suites`)),
          })),
        }),
    ...(exempt === undefined ? {} : { exempt }),
    brake: brake === null ? null : brakeOf(brake ?? {}),
  };
}

function brakeOf(document: BrakeDocument): BrakeParameters {
  return {
    maxCut: document.max_cut ?? DEFAULT_BRAKE.maxCut,
    freezeAbove: document.freeze_above ?? DEFAULT_BRAKE.freezeAbove,
    freezeEpochs: document.freeze_epochs ?? DEFAULT_BRAKE.freezeEpochs,
    minMembers: document.min_members ?? DEFAULT_BRAKE.minMembers,
  };
}

function suiteOf(list: string): (one: SuiteDocument, index: number) => GivenSuite {
  return (one, index) => {
    const given = {
      suite: one.suite,
      threshold: one.threshold,
      maxAgeS: one.max_age_s,
      reportIntervalS: one.report_interval_s,
      minSamples: one.min_samples,
      signers: one.signers,
      score: one.score,
      cut: one.cut && cutOf(one.cut, `${list}[${index}].cut`),
      readmit: one.readmit,
      back: one.back,
      whenStale: one.when_stale,
    };
    return withoutUndefined(given) as unknown as GivenSuite;
  };
}

function cutOf(cut: CutDocument, field: string): GivenCut {
  if (cut === 1) return { kind: 'k_of_n', of: 1, failed: 1 };
  const { of, failed, cusum, confidence } = cut;
  const kinds = [of ?? failed, cusum, confidence].filter((one) => one !== undefined);
  if (kinds.length !== 1) throw new SettingsError(field, 'one of "of", "cusum", "confidence"');
  if (cusum !== undefined) return { kind: 'cusum', ...cusum } as GivenCut;
  if (confidence !== undefined) return { kind: 'confidence', level: confidence };
  if (of === undefined) throw new SettingsError(`${field}.of`, 'an integer');
  if (failed === undefined) throw new SettingsError(`${field}.failed`, 'an integer');
  return { kind: 'k_of_n', of, failed };
}

export function withoutUndefined(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, one]) => one !== undefined));
}

/** Throws a `SettingsError` naming the first field that is not as the schema says. */
export function mustConform(schema: Schema, value: unknown, of: string): void {
  const bad = violation(schema, value);
  if (bad) throw new SettingsError(`${of}${bad.field || 'policy'}`, bad.expected);
}
