import type { TokenAnswer } from '../contract/admin.ts';
import { equalBytes, toBase64 } from '../contract/encoding.ts';
import type { EndpointAnswer } from '../contract/endpoint.ts';
import {
  type EnrolmentAnswer,
  type OpenedEnrolment,
  openEnrolment,
  proofIsValid,
} from '../contract/enrolment.ts';
import { type Envelope, PAYLOAD_TYPES, signEnvelope } from '../contract/envelope.ts';
import { signingKeyId } from '../contract/ids.ts';
import { createJoinToken, formatJoinToken } from '../contract/join-token.ts';
import { accepted, type Checked, type Problem, problem, rejected } from '../contract/problems.ts';
import type { CryptoProvider, RandomBytes } from '../crypto/provider.ts';
import { Allowances } from './allowances.ts';
import type { ControllerClock } from './clock.ts';
import { type ClaimSurroundings, claimFault } from './endpoint-claims.ts';
import type { EmitControllerEvent } from './events.ts';
import type { Governor } from './governor.ts';
import { hostAddresses, type Settings } from './settings.ts';
import type { NodeRecord, Store, TokenRecord } from './store/store.ts';

/** Expired tokens are still told apart from unknown ones for this long, ms. */
const REMEMBER_EXPIRED = 24 * 3600 * 1000;

/** Each move has every member send handshakes elsewhere: so many at once, and again at this interval. */
const MOVES = { burst: 6, intervalMs: 60_000, maxKeys: 100_000 };

/** Where a request came from, and where it was sent to. */
export type Arrival = Pick<ClaimSurroundings, 'from' | 'to'>;

export interface EnrolmentsOptions {
  readonly store: Store;
  readonly governor: Governor;
  readonly settings: Settings;
  readonly clock: ControllerClock;
  readonly crypto: CryptoProvider;
  readonly random: RandomBytes;
  readonly meshId: Uint8Array;
  readonly signingSeed: Uint8Array;
  readonly emit: EmitControllerEvent;
}

/** Join tokens, and the enrolments that use them up. */
export class Enrolments {
  private readonly options: EnrolmentsOptions;
  /** By node. */
  private readonly moves = new Allowances(MOVES);

  constructor(options: EnrolmentsOptions) {
    this.options = options;
  }

  /** The only time that the token's secret leaves the controller. */
  async createToken(nodeId: string | null, ttlS: number): Promise<TokenAnswer> {
    const { store, random, meshId, clock } = this.options;
    const token = createJoinToken(random, meshId);
    const now = clock.now();
    const expiresAt = now + ttlS * 1000;
    const { id, secret } = token;
    await store.addToken({ id, secret, nodeId, expiresAt, usedBy: null }, now - REMEMBER_EXPIRED);
    const text = formatJoinToken(token);
    secret.fill(0);
    this.options.emit({ event: 'token_issued', token: id, node: nodeId, expires_at: expiresAt });
    return { token: text, id, node_id: nodeId, expires_at: expiresAt };
  }

  /** Enrols a node; the answer is signed by the key that the token's fingerprint names. */
  async enrol(
    body: unknown,
    arrived: Arrival,
  ): Promise<Checked<{ answer: Envelope; node: NodeRecord }>> {
    const { store, settings, clock, crypto, meshId, governor, emit } = this.options;
    const opened = openEnrolment(crypto, meshId, body);
    if (!opened.ok) return opened;
    const { document, record } = opened.value;
    const now = clock.now();
    const token = await store.token(document.token_id);
    const before = await this.enrolledBefore(opened.value, token);
    if (before) return accepted({ answer: this.answer(before, opened.value), node: before });
    const refused = this.refusal(opened.value, token, body, now);
    token?.secret?.fill(0);
    if (refused) return { ok: false, problem: refused };
    const badEndpoint = this.endpointFault(document.node_id, document.endpoint, arrived);
    if (badEndpoint) return badEndpoint;
    const { outcome, node, reservedUntil } = await store.enrol(
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
    if (node === undefined) {
      const free = reservedUntil && new Date(reservedUntil).toISOString();
      return rejected(outcome === 'enrolled' ? 'internal_error' : outcome, {
        ...EXPECTED[outcome],
        ...(free ? { detail: `It is free again from ${free} on` } : {}),
      });
    }
    governor.enrolled(node);
    const { nodeId, tunnelAddress, endpoint } = node;
    const key = signingKeyId(crypto, node.signing);
    emit({ event: 'token_used', token: document.token_id, node: nodeId });
    emit({ event: 'enrolled', node: nodeId, address: tunnelAddress, endpoint, key });
    return accepted({ answer: this.answer(node, opened.value), node });
  }

  /** An enrolled node says where it can be reached from now on; in force with the next epoch. */
  async moveEndpoint(
    node: NodeRecord,
    endpoint: string | null,
    arrived: Arrival,
  ): Promise<Checked<EndpointAnswer>> {
    const { store, governor, clock, emit } = this.options;
    const fault = this.endpointFault(node.nodeId, endpoint, arrived);
    if (fault) return fault;
    if (endpoint === node.endpoint) return accepted({ node_id: node.nodeId, endpoint });
    const now = clock.now();
    if (!this.moves.has(node.nodeId, now)) {
      const detail = `A node may move ${MOVES.burst} times, and again every ${MOVES.intervalMs / 1000} s.`;
      return rejected('too_many_requests', { detail });
    }
    this.moves.take(node.nodeId, now);
    if (!(await store.setEndpoint(node.nodeId, endpoint, now))) {
      return rejected('unknown_node', { field: 'node_id', expected: 'an enrolled node' });
    }
    governor.enrolled({ ...node, endpoint });
    const { nodeId, endpoint: before } = node;
    if (endpoint !== before) emit({ event: 'endpoint_changed', node: nodeId, endpoint, before });
    return accepted({ node_id: node.nodeId, endpoint });
  }

  private endpointFault(
    nodeId: string,
    endpoint: string | null,
    arrived: Arrival,
  ): { readonly ok: false; readonly problem: Problem } | undefined {
    if (endpoint === null) return undefined;
    const { settings, governor } = this.options;
    const others = [...governor.nodes.values()].filter((other) => other.nodeId !== nodeId);
    const fault = claimFault(endpoint, {
      ...arrived,
      tunnelPrefix: settings.tunnelPrefix,
      others: others.map((other) => other.endpoint),
    });
    if (fault === undefined) return undefined;
    const expected = `the UDP socket of the node itself; ${fault}`;
    return { ok: false, problem: problem('endpoint_refused', { field: 'endpoint', expected }) };
  }

  /**
   * The node that this very token enrolled, if it asks again with the same keys: its answer was lost
   * on the way. Its signature proves who it is; nothing is used up or changed a second time.
   */
  private async enrolledBefore(
    { document, record }: OpenedEnrolment,
    token: TokenRecord | undefined,
  ): Promise<NodeRecord | undefined> {
    if (token === undefined || token.usedBy !== document.node_id) return undefined;
    const node = await this.options.store.node(document.node_id);
    if (node === undefined) return undefined;
    const isSame =
      equalBytes(node.signing, record.signing) &&
      equalBytes(node.wireguard, record.wireguard) &&
      equalBytes(node.sealing, record.sealing);
    return isSame ? node : undefined;
  }

  private refusal(
    { document }: OpenedEnrolment,
    token: TokenRecord | undefined,
    body: unknown,
    now: number,
  ): Problem | undefined {
    const { crypto } = this.options;
    const field = 'token_id';
    if (token === undefined) return problem('token_unknown', { field, expected: 'a known token' });
    if (token.usedBy !== null) return problem('token_used', EXPECTED.token_used);
    if (token.expiresAt <= now || token.secret === undefined) {
      return problem('token_expired', { field, expected: 'a token that has not expired' });
    }
    if (!proofIsValid(crypto, token.secret, body)) {
      const expected = 'HMAC-SHA256 over the request under the token';
      return problem('token_invalid', { field: 'proof', expected });
    }
    if (token.nodeId !== null && token.nodeId !== document.node_id) {
      const expected = 'the node that the token was made for';
      return problem('token_wrong_node', { field: 'node_id', expected });
    }
    return undefined;
  }

  private answer(node: NodeRecord, { document, requestHash }: OpenedEnrolment): Envelope {
    const { governor, settings, crypto, meshId, signingSeed } = this.options;
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
}

const EXPECTED = {
  enrolled: {},
  token_used: { field: 'token_id', expected: 'a token that was not used' },
  node_exists: { field: 'node_id', expected: 'a name that is free; an admin can remove the node' },
  node_id_reserved: { field: 'node_id', expected: 'a name that was not used lately' },
  key_in_use: { field: 'record', expected: 'keys that no node of this mesh has or had lately' },
  addresses_exhausted: {},
} as const;
