import { nodeIdField, suiteField } from '../../contract/fields.ts';
import { exactly, type FromSchema } from '../../contract/from-schema.ts';
import { type Schema, violation } from '../../contract/schema.ts';
import { type BrakeParameters, PLAIN_CUT } from '../policy.ts';
import { SettingsError } from '../settings-error.ts';
import type { GivenPolicy, GivenSuite } from './complete.ts';
import type { CutDocument } from './rules/cut-rule.ts';
import { CUT_KINDS, cutRule, type GivenCut } from './rules/kinds.ts';

/** What a brake does not say. */
export const DEFAULT_BRAKE: BrakeParameters = {
  maxCut: 0.2,
  freezeAbove: 0.3,
  freezeEpochs: 3,
  minMembers: 0,
};

const number = { type: 'number' } as const satisfies Schema;
const integer = { type: 'integer' } as const satisfies Schema;

/** Of all rules, by their names in a document. */
const CUT_FIELDS: Readonly<Record<string, Schema>> = Object.assign(
  {},
  ...CUT_KINDS.map((kind) => cutRule(kind).fields),
);

/** What a policy document says of one suite; what it leaves out is as in the plain rule. */
const suiteSchema = exactly(
  { suite: suiteField },
  {
    threshold: number,
    max_age_s: number,
    report_interval_s: number,
    min_samples: integer,
    signers: { type: 'string', enum: ['node', 'evaluators'] },
    score: { type: 'string', enum: ['newest', 'mean'] },
    cut: {
      ...exactly({}, CUT_FIELDS),
      type: ['integer', 'object'],
      minimum: 1,
      maximum: 1,
      description: '1, {"of": n, "failed": k}, {"cusum": {"h": h}} or {"confidence": level}',
    },
    readmit: number,
    back: integer,
    when_stale: { type: 'string', enum: ['cut', 'hold'] },
  },
);

export type SuiteDocument = FromSchema<typeof suiteSchema>;

const brakeSchema = exactly(
  {},
  {
    max_cut: number,
    freeze_above: number,
    freeze_epochs: integer,
    min_members: integer,
  },
);

const suites = { type: 'array', items: suiteSchema } as const satisfies Schema;

/** The part of a policy document, version 2, that says who may stay: all of it optional. */
export const judgementProperties = {
  suites,
  brake: { ...brakeSchema, type: ['object', 'null'] },
  exempt: { type: 'array', items: nodeIdField },
  groups: {
    type: 'array',
    items: exactly({ name: suiteField, nodes: { type: 'array', items: nodeIdField }, suites }),
  },
} as const satisfies Record<string, Schema>;

const judgementSchema = exactly({}, judgementProperties);

export type JudgementDocument = FromSchema<typeof judgementSchema>;

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

function brakeOf(document: FromSchema<typeof brakeSchema>): BrakeParameters {
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
      cut: one.cut && cutOf(one.cut as 1 | CutDocument, `${list}[${index}].cut`),
      readmit: one.readmit,
      back: one.back,
      whenStale: one.when_stale,
    };
    return withoutUndefined(given) as unknown as GivenSuite;
  };
}

function cutOf(cut: 1 | CutDocument, field: string): GivenCut {
  if (cut === 1) return PLAIN_CUT;
  const named = CUT_KINDS.filter((kind) => fieldsOf(kind).some((one) => cut[one] !== undefined));
  if (named.length !== 1) {
    const choices = CUT_KINDS.map((kind) => `"${fieldsOf(kind)[0]}"`);
    throw new SettingsError(field, `one of ${choices.join(', ')}`);
  }
  const kind = named[0]!;
  return { ...cutRule(kind).read(cut, field), kind } as GivenCut;
}

function fieldsOf(kind: GivenCut['kind']): string[] {
  return Object.keys(cutRule(kind).fields);
}

export function withoutUndefined(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, one]) => one !== undefined));
}

/** Throws a `SettingsError` naming the first field that is not as the schema says. */
export function mustConform(schema: Schema, value: unknown, of: string): void {
  const bad = violation(schema, value);
  if (bad) throw new SettingsError(`${of}${bad.field || 'policy'}`, bad.expected);
}
