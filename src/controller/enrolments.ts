import type { TokenAnswer } from '../contract/admin.ts';
import { toBase64 } from '../contract/encoding.ts';
import { type EnrolmentAnswer, openEnrolment, proofIsValid } from '../contract/enrolment.ts';
import { type Envelope, PAYLOAD_TYPES, signEnvelope } from '../contract/envelope.ts';
import { createJoinToken, formatJoinToken } from '../contract/join-token.ts';
import { accepted, type Checked, rejected } from '../contract/problems.ts';
import type { CryptoProvider, RandomBytes } from '../crypto/provider.ts';
import type { ControllerClock } from './clock.ts';
import type { Governor } from './governor.ts';
import { hostAddresses, type Settings } from './settings.ts';
import type { NodeRecord, Store } from './store.ts';

export interface EnrolmentsOptions {
  readonly store: Store;
  readonly governor: Governor;
  readonly settings: Settings;
  readonly clock: ControllerClock;
  readonly crypto: CryptoProvider;
  readonly random: RandomBytes;
  readonly meshId: Uint8Array;
  readonly signingSeed: Uint8Array;
}

/** Join tokens, and the enrolments that use them up. */
export class Enrolments {
  private readonly options: EnrolmentsOptions;

  constructor(options: EnrolmentsOptions) {
    this.options = options;
  }

  /** The only time that the token's secret leaves the controller. */
  async createToken(nodeId: string | null, ttlS: number): Promise<TokenAnswer> {
    const { store, random, meshId, clock } = this.options;
    const token = createJoinToken(random, meshId);
    const expiresAt = clock.wall() + ttlS * 1000;
    const { id, secret } = token;
    await store.addToken({ id, secret, nodeId, expiresAt, usedAt: null });
    const text = formatJoinToken(token);
    secret.fill(0);
    return { token: text, id, node_id: nodeId, expires_at: expiresAt };
  }

  /** Enrols a node; the answer is signed by the key that the token's fingerprint names. */
  async enrol(body: unknown): Promise<Checked<{ answer: Envelope; node: NodeRecord }>> {
    const { store, settings, clock, crypto, meshId } = this.options;
    const opened = openEnrolment(crypto, meshId, body);
    if (!opened.ok) return opened;
    const { document, record, requestHash } = opened.value;
    const now = clock.wall();
    const server_time = now;
    const token = await store.token(document.token_id);
    if (token === undefined) return rejected('token_unknown', { field: 'token_id', server_time });
    if (token.usedAt !== null) return rejected('token_used', { field: 'token_id' });
    if (!proofIsValid(crypto, token.secret, body)) {
      return rejected('token_invalid', { field: 'proof', server_time });
    }
    token.secret.fill(0);
    if (token.expiresAt <= now)
      return rejected('token_expired', { field: 'token_id', server_time });
    if (token.nodeId !== null && token.nodeId !== document.node_id) {
      const expected = 'the node that the token was made for';
      return rejected('token_wrong_node', { field: 'node_id', expected });
    }
    const { outcome, node } = await store.enrol(
      {
        nodeId: document.node_id,
        record: document.record,
        wireguard: record.wireguard,
        signing: record.signing,
        sealing: record.sealing,
        endpoint: document.endpoint,
        enrolledAt: now,
      },
      token.id,
      hostAddresses(settings.tunnelPrefix),
      // A config that lists the old holder of an id or address may be in force this long.
      now - settings.lifetimeS * 1000,
    );
    if (outcome !== 'enrolled' || node === undefined) {
      return rejected(outcome === 'enrolled' ? 'internal_error' : outcome);
    }
    await this.options.governor.reloadNodes();
    return accepted({ answer: this.answer(node, document.nonce, requestHash), node });
  }

  private answer(node: NodeRecord, nonce: string, requestHash: Uint8Array): Envelope {
    const { governor, settings, crypto, meshId, signingSeed } = this.options;
    const document: EnrolmentAnswer = {
      mesh_id: toBase64(meshId),
      audience: node.nodeId,
      nonce,
      request_hash: toBase64(requestHash),
      controller_key: toBase64(crypto.ed25519Public(signingSeed)),
      tunnel_address: node.tunnelAddress,
      tunnel_prefix: settings.tunnelPrefix,
      epoch: governor.current?.epoch ?? 0,
      version: governor.current?.version ?? 0,
      epoch_s: settings.epochS,
      grace_s: settings.graceS,
    };
    return signEnvelope(crypto, signingSeed, PAYLOAD_TYPES.enrolmentAnswer, document);
  }
}
