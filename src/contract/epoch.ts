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
import type { Schema } from './schema.ts';

/** `GET /v1/epoch`, and the content of `status.json`: who is in, who is out, and why. */
export interface EpochDocument {
  readonly mesh_id: string;
  readonly epoch: number;
  readonly version: number;
  /** Controller's wall clock, ms since 1970, of this answer and of the epoch's bounds. */
  readonly now: number;
  readonly started_at: number;
  readonly next_rotation_at: number;
  readonly epoch_s: number;
  readonly threshold: number;
  readonly freshness_s: number;
  /** Verdicts are computed and shown, but nobody is cut. */
  readonly observe_only: boolean;
  /** Rotations and exclusions since the controller started. */
  readonly rotations: number;
  readonly exclusions: number;
  /** Every enrolled node, ids in byte order. */
  readonly nodes: readonly NodeStatus[];
}

export interface NodeStatus {
  readonly node_id: string;
  readonly tunnel_address: string;
  /** In force in this epoch. */
  readonly allowed: boolean;
  readonly reason: string;
  /** The decision in a sentence, with the numbers and the rule. */
  readonly explanation: string;
  /** The lowest score among the required suites; null while one has none. */
  readonly score: number | null;
  /** Seconds since the oldest of them was observed; null while one has none. */
  readonly age_s: number | null;
  /** Null while denied. */
  readonly since_epoch: number | null;
  readonly suites: readonly SuiteStatus[];
}

export interface SuiteStatus {
  readonly suite: string;
  readonly score: number | null;
  readonly age_s: number | null;
  readonly samples: number | null;
  readonly passed: boolean;
}

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

export const epochSchema = {
  type: 'object',
  required: [
    'mesh_id',
    'epoch',
    'version',
    'now',
    'started_at',
    'next_rotation_at',
    'epoch_s',
    'threshold',
    'freshness_s',
    'observe_only',
    'rotations',
    'exclusions',
    'nodes',
  ],
  additionalProperties: false,
  properties: {
    mesh_id: bytes32Field,
    epoch: counterField,
    version: counterField,
    now: timeField,
    started_at: timeField,
    next_rotation_at: timeField,
    epoch_s: { type: 'number' },
    threshold: { type: 'number' },
    freshness_s: { type: 'number' },
    observe_only: { type: 'boolean' },
    rotations: counterField,
    exclusions: counterField,
    nodes: {
      type: 'array',
      maxItems: MAX_PEERS,
      items: {
        type: 'object',
        required: [
          'node_id',
          'tunnel_address',
          'allowed',
          'reason',
          'explanation',
          'score',
          'age_s',
          'since_epoch',
          'suites',
        ],
        additionalProperties: false,
        properties: {
          node_id: nodeIdField,
          tunnel_address: tunnelAddressField,
          allowed: { type: 'boolean' },
          reason: reasonField,
          explanation: sentenceField,
          score: scoreField,
          age_s: ageField,
          since_epoch: { type: ['integer', 'null'], minimum: 0 },
          suites: {
            type: 'array',
            items: {
              type: 'object',
              required: ['suite', 'score', 'age_s', 'samples', 'passed'],
              additionalProperties: false,
              properties: {
                suite: suiteField,
                score: scoreField,
                age_s: ageField,
                samples: { type: ['integer', 'null'], minimum: 0 },
                passed: { type: 'boolean' },
              },
            },
          },
        },
      },
    },
  },
} as const satisfies Schema;
