import { canonicalBytes, type Json } from '../../record/canonical-json.ts';
import { equalBytes, parseJson } from '../encoding.ts';
import {
  bytes32Field,
  counterField,
  nodeIdField,
  timeField,
  tunnelAddressField,
} from '../fields.ts';
import { exactly } from '../from-schema.ts';
import { type Schema, violation } from '../schema.ts';

/**
 * The leaves of a mesh's log, one for each event of consequence: canonical JSON (RFC 8785). Times are
 * the controller's clock, ms since 1970; hashes and keys are base64 of 32 bytes.
 */
export type Leaf = { readonly v: 1; readonly at: number } & LeafEvent;

export type LeafEvent =
  /** The controller started, under this policy. */
  | { readonly event: 'started'; readonly policy: string }
  /** From here on verdicts follow from this policy; `hash`: SHA-256 of its canonical JSON. */
  | { readonly event: 'policy'; readonly hash: string; readonly policy: PolicyText }
  | {
      readonly event: 'enrolled';
      readonly node: string;
      readonly tunnel_address: string;
      readonly keys: {
        readonly wireguard: string;
        readonly signing: string;
        readonly sealing: string;
      };
    }
  /** The epoch's header says what it is from then on. */
  | { readonly event: 'endpoint_changed'; readonly node: string }
  | { readonly event: 'sequences_reset'; readonly node: string }
  /** Taken out for good by an admin; the epoch without it is the next leaf. */
  | { readonly event: 'removed'; readonly node: string }
  /** A backup was restored: what came after it is lost, and the numbers jump ahead to these. */
  | { readonly event: 'restored'; readonly epoch: number; readonly version: number }
  | EpochEvent;

export interface EpochEvent {
  readonly event: 'epoch';
  readonly epoch: number;
  readonly version: number;
  /** Hash of the signed header; null where there is none. */
  readonly header: string | null;
  /** Hash of the policy that judged. */
  readonly policy: string;
  readonly members: number;
  readonly denied: number;
  /** Members of the epoch before that are none now. `nodes` is null if they are too many to name. */
  readonly removed: { readonly count: number; readonly nodes: readonly string[] | null };
  /** Rows of the verdicts' bundle, and the root of their tree. */
  readonly verdicts: { readonly count: number; readonly root: string };
}

/** A policy as JSON; what is in it is the controller's to know. */
export type PolicyText = { readonly [name: string]: Json };

/** More names than this a leaf does not list: an entry has at most 65,535 bytes. */
export const MAX_NAMED = 800;

function leafSchema(event: LeafEvent['event'], properties: Record<string, Schema>): Schema {
  const what = { type: 'string', const: event } as const;
  return exactly({ v: { type: 'integer', const: 1 }, at: timeField, event: what, ...properties });
}

const SCHEMAS: Readonly<Record<LeafEvent['event'], Schema>> = {
  started: leafSchema('started', { policy: bytes32Field }),
  policy: leafSchema('policy', { hash: bytes32Field, policy: { type: 'object' } }),
  enrolled: leafSchema('enrolled', {
    node: nodeIdField,
    tunnel_address: tunnelAddressField,
    keys: exactly({ wireguard: bytes32Field, signing: bytes32Field, sealing: bytes32Field }),
  }),
  endpoint_changed: leafSchema('endpoint_changed', { node: nodeIdField }),
  sequences_reset: leafSchema('sequences_reset', { node: nodeIdField }),
  removed: leafSchema('removed', { node: nodeIdField }),
  restored: leafSchema('restored', { epoch: counterField, version: counterField }),
  epoch: leafSchema('epoch', {
    epoch: counterField,
    version: counterField,
    header: { ...bytes32Field, type: ['string', 'null'] },
    policy: bytes32Field,
    members: counterField,
    denied: counterField,
    removed: exactly({
      count: counterField,
      nodes: { type: ['array', 'null'], maxItems: MAX_NAMED, items: nodeIdField },
    }),
    verdicts: exactly({ count: counterField, root: bytes32Field }),
  }),
};

/** A leaf's bytes, as the log has them. */
export function leafBytes(at: number, event: LeafEvent): Uint8Array {
  return canonicalBytes({ v: 1, at, ...event });
}

/** Reads a leaf. Undefined: not one of ours, or not its canonical text. */
export function parseLeaf(bytes: Uint8Array): Leaf | undefined {
  const value = parseJson(bytes);
  if (typeof value !== 'object' || value === null) return undefined;
  const { event } = value as { readonly event?: unknown };
  if (typeof event !== 'string' || !Object.hasOwn(SCHEMAS, event)) return undefined;
  if (violation(SCHEMAS[event as LeafEvent['event']], value) !== undefined) return undefined;
  return isCanonical(value as Json, bytes) ? (value as Leaf) : undefined;
}

function isCanonical(value: Json, bytes: Uint8Array): boolean {
  try {
    return equalBytes(canonicalBytes(value), bytes);
  } catch (error) {
    if (error instanceof RangeError) return false; // it has no canonical text
    throw error;
  }
}
