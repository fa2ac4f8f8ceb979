import { canonicalBytes, type Json } from '../../record/canonical-json.ts';
import { accessNameField } from '../access.ts';
import { equalBytes, parseJson } from '../encoding.ts';
import {
  bytes32Field,
  counterField,
  nodeIdField,
  timeField,
  tunnelAddressField,
} from '../fields.ts';
import { exactly, type FromSchema } from '../from-schema.ts';
import { type Schema, violation } from '../schema.ts';

/** More names than this a leaf does not list: an entry has at most 65,535 bytes. */
export const MAX_NAMED = 800;

/** What can be asked for that changes something. */
const ASKED = [
  'rotate',
  'release_brake',
  'remove',
  'reset_sequences',
  'issue_token',
  'withdraw_token',
  'set_policy',
  'grant_view',
  'grant_operate',
  'grant_admin',
  'revoke',
] as const;

function leaf<const Event extends string, const P extends Readonly<Record<string, Schema>>>(
  event: Event,
  properties: P,
) {
  const version = { type: 'integer', const: 1 } as const;
  return exactly({
    v: version,
    at: timeField,
    event: { type: 'string', const: event },
    ...properties,
  });
}

const SCHEMAS = {
  /** The controller started, under this policy. */
  started: leaf('started', { policy: bytes32Field }),
  /** From here on verdicts follow from this policy; `hash`: SHA-256 of its canonical JSON. */
  policy: leaf('policy', { hash: bytes32Field, policy: { type: 'object' } }),
  enrolled: leaf('enrolled', {
    node: nodeIdField,
    tunnel_address: tunnelAddressField,
    keys: exactly({ wireguard: bytes32Field, signing: bytes32Field, sealing: bytes32Field }),
  }),
  /** The epoch's header says what it is from then on. */
  endpoint_changed: leaf('endpoint_changed', { node: nodeIdField }),
  sequences_reset: leaf('sequences_reset', { node: nodeIdField }),
  /**
   * Somebody asked for a change, which what follows shows. `by`: name of the access token, null: the
   * admin socket. `about`: a node, or the name or id of a token.
   */
  asked: leaf('asked', {
    by: { ...accessNameField, type: ['string', 'null'] },
    what: { type: 'string', enum: ASKED },
    about: { type: ['string', 'null'], maxLength: 63 },
  }),
  /** Taken out for good, as asked, by itself or for its silence; the epoch without it is the next leaf. */
  removed: leaf('removed', { node: nodeIdField }),
  /** A backup was restored: what came after it is lost, and the numbers jump ahead to these. */
  restored: leaf('restored', { epoch: counterField, version: counterField }),
  epoch: leaf('epoch', {
    epoch: counterField,
    version: counterField,
    /** Hash of the signed header; null where there is none. */
    header: { ...bytes32Field, type: ['string', 'null'] },
    /** Hash of the policy that judged. */
    policy: bytes32Field,
    members: counterField,
    denied: counterField,
    /** Members of the epoch before that are none now. `nodes` is null if they are too many to name. */
    removed: exactly({
      count: counterField,
      nodes: { type: ['array', 'null'], maxItems: MAX_NAMED, items: nodeIdField },
    }),
    /** Rows of the verdicts' bundle, and the root of their tree. */
    verdicts: exactly({ count: counterField, root: bytes32Field }),
  }),
} as const;

/**
 * The leaves of a mesh's log, one for each event of consequence: canonical JSON (RFC 8785). Times are
 * the controller's clock, ms since 1970; hashes and keys are base64 of 32 bytes.
 */
export type Leaf = FromSchema<(typeof SCHEMAS)[keyof typeof SCHEMAS]>;

type EventOf<One> = One extends Leaf ? Omit<One, 'v' | 'at'> : never;

export type LeafEvent = EventOf<Leaf>;

/** Who asked for which change. */
export type Asked = Omit<EventOf<FromSchema<typeof SCHEMAS.asked>>, 'event'>;

export type EpochEvent = EventOf<FromSchema<typeof SCHEMAS.epoch>>;

/** A policy as JSON; what is in it is the controller's to know. */
export type PolicyText = FromSchema<typeof SCHEMAS.policy>['policy'];

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
