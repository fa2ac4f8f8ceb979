import { MAX_PEERS } from './config.ts';
import {
  bytes32Field,
  counterField,
  nodeIdField,
  reasonField,
  sentenceField,
  suiteField,
  timeField,
  tunnelAddressField,
} from './fields.ts';
import { exactly, type FromSchema } from './from-schema.ts';
import type { Schema } from './schema.ts';

const scoreField = {
  type: ['number', 'null'],
  minimum: 0,
  maximum: 1,
  description: 'a number from 0 to 1, or null',
} as const satisfies Schema;

const ageField = {
  type: ['number', 'null'],
  minimum: 0,
  description: 'seconds, or null',
} as const satisfies Schema;

export const suiteStatusSchema = exactly({
  suite: suiteField,
  score: scoreField,
  age_s: ageField,
  samples: { type: ['integer', 'null'], minimum: 0 },
  passed: { type: 'boolean' },
});

export type SuiteStatus = FromSchema<typeof suiteStatusSchema>;

const judgedSuiteSchema = exactly({
  ...suiteStatusSchema.properties,
  /** Greatest age of a score that counts, seconds. */
  max_age_s: { type: 'number', minimum: 0 },
});

export type JudgedSuite = FromSchema<typeof judgedSuiteSchema>;

const nodeStatusSchema = exactly({
  node_id: nodeIdField,
  tunnel_address: tunnelAddressField,
  /** In force in this epoch. */
  allowed: { type: 'boolean' },
  reason: reasonField,
  /** The decision in a sentence, with the numbers and the rule. */
  explanation: sentenceField,
  /** The lowest score among the required suites; null while one has none. */
  score: scoreField,
  /** Seconds since the oldest of them was observed; null while one has none. */
  age_s: ageField,
  /** Null while denied. */
  since_epoch: { type: ['integer', 'null'], minimum: 0 },
  suites: { type: 'array', items: judgedSuiteSchema },
  /** What each of them asks for, in the same order. */
  rules: { type: 'array', items: sentenceField },
  /** Epochs until a denied node may be back at the earliest; null for a member. */
  back_in_epochs: { type: ['integer', 'null'], minimum: 1 },
});

export type NodeStatus = FromSchema<typeof nodeStatusSchema>;

const differenceField = { type: ['number', 'null'], minimum: -1, maximum: 1 } as const;

const evaluatorStatusSchema = exactly({
  /** `keyid`. */
  evaluator: { type: 'string', minLength: 1, maxLength: 64 },
  /** Its fresh words that others can be compared with. */
  compared: counterField,
  /** Mean of its score less the median of all: above 0 it is milder; null: nothing to compare. */
  bias: differenceField,
  /** Mean distance from the median. */
  distance: differenceField,
  /** Seconds since its last word on anybody; null: it has none. */
  last_s: ageField,
});

export type EvaluatorStatus = FromSchema<typeof evaluatorStatusSchema>;

const brakeStatusSchema = exactly({
  /** `frozen`: nobody is cut. `capped`: only the worst are. */
  phase: { type: 'string', enum: ['frozen', 'capped'] },
  /** Since when more would be cut than is believed, and until when nobody is; or null. */
  since: { ...timeField, type: ['integer', 'null'] },
  until: { ...timeField, type: ['integer', 'null'] },
  /** Members only because of the brake, ids in byte order. */
  held: { type: 'array', maxItems: MAX_PEERS, items: nodeIdField },
  /** How many were removed with this epoch. */
  cut: counterField,
});

/** What limits how many judgement cuts, while it does. */
export type BrakeStatus = FromSchema<typeof brakeStatusSchema>;

const witnessesSchema = exactly({
  /** What the policy asks for; 0: nothing. */
  needed: counterField,
  within_epochs: counterField,
  /** While it is not so, no config and no lease is given out. */
  binding: { type: 'boolean' },
  /** What is not so, or null. */
  fault: { ...sentenceField, type: ['string', 'null'] },
  each: {
    type: 'array',
    items: exactly({
      /** Name of its key. */
      witness: { type: 'string' },
      /** Of the last checkpoint that it cosigned, since the start. */
      leaves: counterField,
      behind_epochs: counterField,
    }),
  },
});

/** Who cosigns the log, and how far behind they are. */
export type WitnessesStatus = FromSchema<typeof witnessesSchema>;

/** `GET /v1/epoch`, and the content of `status.json`: who is in, who is out, and why. */
export const epochSchema = exactly(
  {
    mesh_id: bytes32Field,
    epoch: counterField,
    version: counterField,
    /** Controller's wall clock, ms since 1970, of this answer and of the epoch's bounds. */
    now: timeField,
    started_at: timeField,
    next_rotation_at: timeField,
    epoch_s: { type: 'number' },
    threshold: { type: 'number' },
    freshness_s: { type: 'number' },
    /** Verdicts are computed and shown, but nobody is cut. */
    observe_only: { type: 'boolean' },
    /** Why no epochs are decided at present, and what to do; null while they are. */
    not_ready: { ...sentenceField, type: ['string', 'null'] },
    /** Null while it holds nobody. */
    brake: { ...brakeStatusSchema, type: ['object', 'null'] },
    /** Null where nobody cosigns the log. */
    witnesses: { ...witnessesSchema, type: ['object', 'null'] },
    /** Rotations and exclusions since the controller started. */
    rotations: counterField,
    exclusions: counterField,
    /** Those whose keys the policy lists, in its order. */
    evaluators: { type: 'array', items: evaluatorStatusSchema },
    /** Every enrolled node, or those of the page that was asked for; ids in byte order. */
    nodes: { type: 'array', maxItems: MAX_PEERS, items: nodeStatusSchema },
  },
  {
    /** There are more nodes, after this one. */
    next: nodeIdField,
  },
);

export type EpochDocument = FromSchema<typeof epochSchema>;

/** Which of the nodes are asked for: so many of those that come after one. Without `limit`, all. */
export interface EpochPage {
  readonly after?: string;
  readonly limit?: number;
}

/** Nodes that clients of ours ask for at a time: some 300 KB. */
export const PAGE_NODES = 500;

export const epochQuerySchema = {
  type: 'object',
  properties: {
    after: nodeIdField,
    limit: {
      type: 'string',
      pattern: '^[1-9][0-9]{0,4}$',
      description: 'how many nodes at most; without it, all',
    },
  },
} as const satisfies Schema;

/**
 * The whole document, a page at a time. Where an epoch begins between two pages it is asked for at once, in
 * one answer: epochs may follow each other faster than pages do.
 *
 * @param ask what answers to a target such as `/v1/epoch?limit=500`; a controller that knows no pages gives all
 */
export async function epochInPages(
  ask: (target: string) => Promise<EpochDocument>,
): Promise<EpochDocument> {
  const { next, ...first } = await ask(`/v1/epoch?limit=${PAGE_NODES}`);
  const nodes = [...first.nodes];
  for (let after = next; after !== undefined; ) {
    const page = await ask(`/v1/epoch?after=${after}&limit=${PAGE_NODES}`);
    if (page.epoch !== first.epoch || page.version !== first.version) return ask('/v1/epoch');
    nodes.push(...page.nodes);
    after = page.next;
  }
  return { ...first, nodes };
}
