import { matchesNames } from '../../contract/admin.ts';
import { equalBytes, toBase64 } from '../../contract/encoding.ts';
import {
  type EnrolmentAnswer,
  type OpenedEnrolment,
  openEnrolment,
  proofIsValid,
} from '../../contract/enrolment.ts';
import { type Envelope, PAYLOAD_TYPES, signEnvelope } from '../../contract/envelope.ts';
import { signingKeyId } from '../../contract/ids.ts';
import { accepted, type Checked, rejected } from '../../contract/problems.ts';
import type { Policy } from '../policy.ts';
import type { Services } from '../services.ts';
import { hostAddresses } from '../settings.ts';
import type { NodeRecord, TokenRecord } from '../store/store.ts';
import { settle, withinBudget } from './accounting.ts';
import type { Arrival } from './caller.ts';
import { acceptableClaim } from './endpoint-claim.ts';

export interface EnrolCall {
  /** An enrolment request, unchecked. */
  readonly body: unknown;
  readonly arrival: Arrival;
}

/**
 * Enrols a node, which takes one use of its join token. The answer is signed by the key that the token's
 * fingerprint names.
 */
export async function enrol(services: Services, call: EnrolCall): Promise<Checked<Envelope>> {
  const budget = withinBudget(services, call.arrival);
  return budget.ok ? settle(services, call.arrival, await admit(services, call)) : budget;
}

async function admit(services: Services, { body, arrival }: EnrolCall): Promise<Checked<Envelope>> {
  const { store, directory, settings, clock, crypto, meshId, emit } = services;
  const opened = openEnrolment(crypto, meshId, body);
  if (!opened.ok) return opened;
  const { document, record } = opened.value;
  const now = clock.now();
  const token = await store.token(document.token_id);
  const before = await enrolledBefore(services, opened.value, token);
  if (before) return accepted(answerTo(services, before, opened.value));
  const usable = usableToken(services, opened.value, token, body, now);
  token?.secret?.fill(0);
  if (!usable.ok) return usable;
  const claim = acceptableClaim(services, document.node_id, document.endpoint, arrival);
  if (!claim.ok) return claim;
  const result = await store.enrol(
    {
      nodeId: document.node_id,
      record: document.record,
      wireguard: record.wireguard,
      signing: record.signing,
      sealing: record.sealing,
      endpoint: document.endpoint,
      enrolledAt: now,
    },
    document.token_id,
    hostAddresses(settings.tunnelPrefix),
  );
  const { outcome } = result;
  if (outcome === 'node_id_reserved') {
    const free = new Date(result.reservedUntil).toISOString();
    return rejected(outcome, {
      ...EXPECTED[outcome],
      detail: `It is free again from ${free} on`,
    });
  }
  if (outcome !== 'enrolled') return rejected(outcome, EXPECTED[outcome]);
  const { node, revision } = result;
  directory.changed(node, revision);
  const { nodeId, tunnelAddress, endpoint } = node;
  const key = signingKeyId(crypto, node.signing);
  emit({ event: 'token_used', token: document.token_id, node: nodeId });
  emit({ event: 'enrolled', node: nodeId, address: tunnelAddress, endpoint, key });
  return accepted(answerTo(services, node, opened.value));
}

/**
 * The node that this very token enrolled, if it asks again with the same keys: its answer was lost
 * on the way. Its signature proves who it is; nothing is used up or changed a second time.
 */
async function enrolledBefore(
  { store }: Services,
  { document, record }: OpenedEnrolment,
  token: TokenRecord | undefined,
): Promise<NodeRecord | undefined> {
  if (token === undefined || (await store.tokenOf(document.node_id)) !== token.id) return undefined;
  const node = await store.node(document.node_id);
  if (node === undefined) return undefined;
  const isSame =
    equalBytes(node.signing, record.signing) &&
    equalBytes(node.wireguard, record.wireguard) &&
    equalBytes(node.sealing, record.sealing);
  return isSame ? node : undefined;
}

/** The token, if it may enrol this node. */
function usableToken(
  { crypto, settings }: Services,
  { document }: OpenedEnrolment,
  token: TokenRecord | undefined,
  body: unknown,
  now: number,
): Checked<TokenRecord> {
  const field = 'token_id';
  if (token === undefined) return rejected('token_unknown', { field, expected: 'a known token' });
  if (token.usesLeft === 0) return rejected('token_used', EXPECTED.token_used);
  if (token.expiresAt <= now || token.secret === undefined) {
    return rejected('token_expired', { field, expected: 'a token that has not expired' });
  }
  if (!proofIsValid(crypto, token.secret, body)) {
    const expected = 'HMAC-SHA256 over the request under the token';
    return rejected('token_invalid', { field: 'proof', expected });
  }
  const expected = scopeOf(settings.policy, token, document.node_id);
  if (expected === undefined) return accepted(token);
  return rejected('token_wrong_node', { field: 'node_id', expected });
}

/** Which nodes the token is for, if this one is not among them. */
function scopeOf({ groups }: Policy, token: TokenRecord, nodeId: string): string | undefined {
  const { nodeId: only, names, group } = token;
  if (only !== null && only !== nodeId) return 'the node that the token was made for';
  if (names !== undefined && !matchesNames(names, nodeId)) return `a name such as ${names}`;
  if (group === undefined) return undefined;
  const nodes = groups.find((one) => one.name === group)?.nodes ?? [];
  return nodes.includes(nodeId) ? undefined : `a node of the group ${group}`;
}

function answerTo(
  { governor, settings, crypto, meshId, signingSeed }: Services,
  node: NodeRecord,
  { document, requestHash }: OpenedEnrolment,
): Envelope {
  const answer: EnrolmentAnswer = {
    mesh_id: toBase64(meshId),
    audience: node.nodeId,
    nonce: document.nonce,
    request_hash: toBase64(requestHash),
    controller_key: toBase64(crypto.ed25519Public(signingSeed)),
    tunnel_address: node.tunnelAddress,
    tunnel_prefix: settings.tunnelPrefix,
    epoch: governor.current?.epoch ?? 0,
    version: governor.current?.version ?? 0,
    epoch_s: settings.epochS,
    grace_s: settings.graceS,
  };
  return signEnvelope(crypto, signingSeed, PAYLOAD_TYPES.enrolmentAnswer, answer);
}

const EXPECTED = {
  token_used: { field: 'token_id', expected: 'a token that is not used up' },
  node_exists: { field: 'node_id', expected: 'a name that is free; an admin can remove the node' },
  node_id_reserved: { field: 'node_id', expected: 'a name that was not used lately' },
  key_in_use: { field: 'record', expected: 'keys that no node of this mesh has or had lately' },
  addresses_exhausted: {},
} as const;
