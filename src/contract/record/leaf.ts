import { canonicalBytes } from '../../record/canonical-json.ts';
import { actorField, CERTIFICATE } from '../access.ts';
import { parseCanonicalJson } from '../encoding.ts';
import {
  bytes32Field,
  counterField,
  nodeIdField,
  timeField,
  tunnelAddressField,
} from '../fields.ts';
import { exactly, type FromSchema } from '../from-schema.ts';
import { type Schema, violation } from '../schema.ts';
import { numbersOf, type VerdictRow } from './verdict-row.ts';

/** More names than this a leaf does not list: an entry has at most 65,535 bytes. */
export const MAX_NAMED = 800;

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

type Fields = Readonly<Record<string, Schema>>;
type FieldsOf<P extends Fields> = FromSchema<ReturnType<typeof exactly<P>>>;

/** `sentence`: for people, without a full stop. `rows`: of an epoch's verdicts, as far as they are known. */
function leaf<const Event extends string, const P extends Fields>(
  event: Event,
  properties: P,
  sentence: (leaf: FieldsOf<P>, rows: readonly VerdictRow[]) => string,
) {
  const version = { type: 'integer', const: 1 } as const;
  const schema = exactly({
    v: version,
    at: timeField,
    event: { type: 'string', const: event },
    ...properties,
  });
  return { schema, sentence };
}

function whoWas(by: string | null): string {
  if (by === null) return 'The admin socket was';
  if (!by.startsWith(CERTIFICATE)) return `With the access token ${by} it was`;
  return `With the client certificate ${by.slice(CERTIFICATE.length)} it was`;
}

/** Each kind of leaf: its fields and how it reads. A new one is an entry here, and whoever appends it. */
const LEAVES = {
  /** The controller started, under this policy. */
  started: leaf('started', { policy: bytes32Field }, () => 'The controller started'),
  /** From here on verdicts follow from this policy; `hash`: SHA-256 of its canonical JSON. */
  policy: leaf(
    'policy',
    { hash: bytes32Field, policy: { type: 'object' } },
    ({ hash }) => `The policy is ${hash} from here on`,
  ),
  enrolled: leaf(
    'enrolled',
    {
      node: nodeIdField,
      tunnel_address: tunnelAddressField,
      keys: exactly({ wireguard: bytes32Field, signing: bytes32Field, sealing: bytes32Field }),
    },
    ({ node, tunnel_address }) => `${node} was enrolled as ${tunnel_address}`,
  ),
  /** The epoch's header says what it is from then on. */
  endpoint_changed: leaf(
    'endpoint_changed',
    { node: nodeIdField },
    ({ node }) => `${node} moved to another endpoint`,
  ),
  sequences_reset: leaf(
    'sequences_reset',
    { node: nodeIdField },
    ({ node }) => `The sequences about ${node} start anew`,
  ),
  /**
   * Somebody asked for a change, which what follows shows. `by`: name of the access token, or of the client
   * certificate behind `certificate:`; null: the admin socket. `about`: a node, or the name or id of a token.
   */
  asked: leaf(
    'asked',
    {
      by: { ...actorField, type: ['string', 'null'] },
      what: { type: 'string', enum: ASKED },
      about: { type: ['string', 'null'], maxLength: 63 },
    },
    ({ by, what, about }) => {
      const change = what.replaceAll('_', ' ');
      return `${whoWas(by)} asked to ${change}${about === null ? '' : ` ${about}`}`;
    },
  ),
  /** Taken out for good, as asked, by itself or for its silence; the epoch without it is the next leaf. */
  removed: leaf('removed', { node: nodeIdField }, ({ node }) => `${node} was taken out for good`),
  /** A backup was restored: what came after it is lost, and the numbers jump ahead to these. */
  restored: leaf(
    'restored',
    { epoch: counterField, version: counterField },
    ({ epoch }) => `A backup was restored; the mesh went on with epoch ${epoch}`,
  ),
  /**
   * The brake holds others in from the epoch before it on than it did until then: members that judgement
   * would cut. `nodes` is null if they are too many to name.
   */
  brake: leaf(
    'brake',
    {
      epoch: counterField,
      held: exactly({
        count: counterField,
        nodes: { type: ['array', 'null'], maxItems: MAX_NAMED, items: nodeIdField },
      }),
    },
    ({ epoch, held }) => {
      if (held.count === 0) return `The brake holds nobody any more, from epoch ${epoch} on`;
      const who = held.nodes?.join(', ') ?? `${held.count} nodes`;
      return `The brake holds ${who} in, from epoch ${epoch} on: they would have been cut`;
    },
  ),
  epoch: leaf(
    'epoch',
    {
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
    },
    ({ epoch, members, denied, removed }, rows) => {
      const head = `Epoch ${epoch}: ${members} ${members === 1 ? 'member' : 'members'}, ${denied} denied`;
      if (removed.count === 0) return head;
      const cut = removed.nodes?.map((node) => cutStatement(node, rows));
      return [head, ...(cut ?? [`${removed.count} were cut`])].join('. ');
    },
  ),
} as const;

/**
 * The leaves of a mesh's log, one for each event of consequence: canonical JSON (RFC 8785). Times are
 * the controller's clock, ms since 1970; hashes and keys are base64 of 32 bytes.
 */
export type Leaf = FromSchema<(typeof LEAVES)[keyof typeof LEAVES]['schema']>;

type EventOf<One> = One extends Leaf ? Omit<One, 'v' | 'at'> : never;

export type LeafEvent = EventOf<Leaf>;

/** What can be asked for that changes something. */
export type AskedChange = (typeof ASKED)[number];

/** Leaves that a store has no other part in: what the others stand for, it changes with them. */
export type NotedEvent = Extract<LeafEvent, { readonly event: 'asked' }>;

export type EpochEvent = EventOf<FromSchema<typeof LEAVES.epoch.schema>>;

export type BrakeEvent = EventOf<FromSchema<typeof LEAVES.brake.schema>>;

/** A policy as JSON; what is in it is the controller's to know. */
export type PolicyText = FromSchema<typeof LEAVES.policy.schema>['policy'];

/**
 * What the log says, in a sentence without its full stop; undefined: of a kind that this version does not
 * know. `rows`: as `leaf` has them.
 */
export function leafStatement(
  event: LeafEvent,
  rows: readonly VerdictRow[] = [],
): string | undefined {
  if (!Object.hasOwn(LEAVES, event.event)) return undefined;
  const { sentence } = LEAVES[event.event];
  return sentence(event as never, rows); // it is of this very event
}

function cutStatement(node: string, rows: readonly VerdictRow[]): string {
  const row = rows.find((one) => one.node === node);
  return row === undefined ? `${node} was taken out` : `${node} was cut: ${numbersOf(row)}`;
}

/** A leaf's bytes, as the log has them. */
export function leafBytes(at: number, event: LeafEvent): Uint8Array {
  return canonicalBytes({ v: 1, at, ...event });
}

/** Reads a leaf. Undefined: not one of ours, or not its canonical text. */
export function parseLeaf(bytes: Uint8Array): Leaf | undefined {
  const value = parseCanonicalJson(bytes);
  if (typeof value !== 'object' || value === null) return undefined;
  const { event } = value as { readonly event?: unknown };
  if (typeof event !== 'string' || !Object.hasOwn(LEAVES, event)) return undefined;
  if (violation(LEAVES[event as LeafEvent['event']].schema, value) !== undefined) return undefined;
  return value as Leaf;
}
