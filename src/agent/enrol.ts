import { toBase64 } from '../contract/encoding.ts';
import { createEnrolment, openEnrolmentAnswer } from '../contract/enrolment.ts';
import { parseJoinToken } from '../contract/join-token.ts';
import { signKeyRecord } from '../contract/key-record.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import { Backoff } from './backoff.ts';
import type { AgentClock, RandomNumber } from './clock.ts';
import { CallError } from './controller-answer.ts';
import type { ControllerClient } from './controller-client.ts';
import { keyRecordOf, type NodeKeys } from './node-keys.ts';
import type { Enrolment } from './node-state.ts';

export interface EnrolOptions {
  readonly client: ControllerClient;
  readonly crypto: CryptoProvider;
  readonly clock: AgentClock;
  readonly random: RandomNumber;
  readonly keys: NodeKeys;
  readonly nodeId: string;
  readonly token: string;
  /** What other members are told; null if this node can only be answered. */
  readonly endpoint: string | null;
  readonly listenPort: number;
  /** Called when the controller cannot be reached and is tried again. */
  readonly waiting: (error: CallError) => void;
}

/** The enrolment was refused or the answer was not the controller's. Trying again will not help. */
export class EnrolmentError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = 'EnrolmentError';
    this.code = code;
  }
}

/**
 * Joins the mesh. Tries again while the controller cannot be reached; rejects with an
 * `EnrolmentError` when it refuses or does not prove to be the one that the token names.
 */
export async function enrol(options: EnrolOptions, signal: AbortSignal): Promise<Enrolment> {
  const { client, crypto, keys, nodeId, endpoint } = options;
  const token = parseJoinToken(options.token);
  if (!token) throw new EnrolmentError('token_malformed', 'this is not a join token');
  const meshId = token.fingerprint;
  const nonce = client.newNonce();
  const request = createEnrolment(crypto, keys.signing, token, {
    node_id: nodeId,
    nonce,
    record: signKeyRecord(crypto, keys.signing, keyRecordOf(crypto, keys, meshId, nodeId)),
    endpoint,
  });
  const answer = await persistently(() => client.enrol(request), options, signal);
  const opened = openEnrolmentAnswer(crypto, token, request, nodeId, nonce, answer);
  if (!opened.ok) {
    const { code, title, field } = opened.problem;
    throw new EnrolmentError(
      code,
      `the answer is not from the controller that the token names: ${title} (${field ?? 'envelope'})`,
    );
  }
  const { tunnel_address, tunnel_prefix, controllerKey, epoch_s, grace_s } = opened.value;
  return {
    mesh_id: toBase64(meshId),
    node_id: nodeId,
    controller_key: toBase64(controllerKey),
    tunnel_address,
    tunnel_prefix,
    epoch_s,
    grace_s,
    listen_port: options.listenPort,
  };
}

async function persistently(
  call: () => Promise<unknown>,
  options: EnrolOptions,
  signal: AbortSignal,
): Promise<unknown> {
  const backoff = new Backoff(250, 5000, options.random);
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      const mayPass = error.status === 0 || error.status === 429 || error.status >= 500;
      if (!mayPass) throw new EnrolmentError(error.code, error.message);
      options.waiting(error);
      await options.clock.sleep(backoff.next(), signal);
      if (signal.aborted) throw error;
    }
  }
}
