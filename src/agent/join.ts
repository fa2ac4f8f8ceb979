import { fromBase64, toBase64 } from '../contract/encoding.ts';
import { parseJoinToken } from '../contract/join-token.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import type { AgentClock, RandomNumber } from './clock.ts';
import { CallError } from './controller-answer.ts';
import type { ControllerClient } from './controller-client.ts';
import { EnrolmentError, enrol } from './enrol.ts';
import type { EmitEvent } from './events.ts';
import type { NodeKeys } from './node-keys.ts';
import type { Enrolment, NodeState } from './node-state.ts';
import { freeUdpPort, ownEndpoint } from './own-endpoint.ts';

/** Of `NodeOptions`: what joining the mesh needs. */
export interface JoinOptions {
  readonly stateDirectory: string;
  readonly nodeId?: string;
  readonly defaultNodeId?: string;
  readonly token?: string;
  readonly controllerUrl: string;
  readonly advertise: string | null;
  readonly listenPort: number;
}

export interface JoinSurroundings {
  readonly clock: AgentClock;
  readonly crypto: CryptoProvider;
  readonly random: RandomNumber;
  readonly emit: EmitEvent;
}

/** The node's enrolment: the one it knows, or a new one. */
export async function enrolled(
  options: JoinOptions,
  surroundings: JoinSurroundings,
  client: ControllerClient,
  keys: NodeKeys,
  state: NodeState,
  signal: AbortSignal,
): Promise<Enrolment> {
  const known = state.readEnrolment();
  const named = known
    ? fromBase64(known.mesh_id, 32)
    : parseJoinToken(options.token ?? '')?.fingerprint;
  if (named !== undefined) client.belongTo(named);
  if (known) {
    if (options.nodeId !== undefined && options.nodeId !== known.node_id) {
      const where = options.stateDirectory;
      throw new EnrolmentError('wrong_node', `${where} belongs to the node ${known.node_id}`);
    }
    const again = await enrolledAgain(known, options, surroundings, client, keys, state, signal);
    if (again) return again;
    if (options.listenPort === 0 || options.listenPort === known.listen_port) return known;
    const moved = { ...known, listen_port: options.listenPort };
    await state.writeEnrolment(moved);
    return moved;
  }
  const nodeId = options.nodeId ?? options.defaultNodeId;
  if (nodeId === undefined || options.token === undefined) {
    throw new EnrolmentError(
      'not_enrolled',
      'this node is not enrolled: give its name and a token',
    );
  }
  return enrolNow(nodeId, options.token, options, surroundings, client, keys, state, signal);
}

/** How long (ms) a node that is enrolled already tries the token that it was given all the same. */
const AGAIN_MS = 5000;
/** What a token says that was used for this node before, or is of no use: the enrolment stands. */
const STANDS = new Set(['node_exists', 'token_used', 'token_expired', 'token_unknown']);

/** A node that was removed comes back with a new token; undefined: what it knows of itself stands. */
async function enrolledAgain(
  known: Enrolment,
  options: JoinOptions,
  surroundings: JoinSurroundings,
  client: ControllerClient,
  keys: NodeKeys,
  state: NodeState,
  signal: AbortSignal,
): Promise<Enrolment | undefined> {
  const token = options.token === undefined ? undefined : parseJoinToken(options.token);
  if (options.token === undefined || token === undefined) return undefined;
  if (toBase64(token.fingerprint) !== known.mesh_id) {
    const where = options.stateDirectory;
    throw new EnrolmentError(
      'wrong_mesh',
      `the token is of another mesh than ${where}; give another --state`,
    );
  }
  const limit = new AbortController();
  const done = new AbortController();
  void surroundings.clock.sleep(AGAIN_MS, done.signal).then(() => limit.abort());
  try {
    const until = AbortSignal.any([signal, limit.signal]);
    const { node_id } = known;
    return await enrolNow(
      node_id,
      options.token,
      options,
      surroundings,
      client,
      keys,
      state,
      until,
    );
  } catch (error) {
    // Without the controller what is known has to do; its refusals say what they mean.
    if (error instanceof CallError) return undefined;
    if (error instanceof EnrolmentError && STANDS.has(error.code)) return undefined;
    throw error;
  } finally {
    done.abort();
  }
}

async function enrolNow(
  nodeId: string,
  token: string,
  options: JoinOptions,
  { clock, crypto, random, emit }: JoinSurroundings,
  client: ControllerClient,
  keys: NodeKeys,
  state: NodeState,
  signal: AbortSignal,
): Promise<Enrolment> {
  const listenPort =
    options.listenPort || state.readEnrolment()?.listen_port || (await freeUdpPort());
  const endpoint = await ownEndpoint(options.advertise, options.controllerUrl, listenPort);
  const waiting = (error: CallError) =>
    emit({
      event: 'controller',
      call: 'enrol',
      ok: false,
      code: error.code,
      detail: error.message,
    });
  const about = { client, crypto, clock, random, keys, nodeId, token, endpoint, listenPort };
  const enrolment = await enrol({ ...about, waiting }, signal).catch((error: unknown) => {
    // Nobody named that address: another node may have it in a network of its own.
    const mayDoWithout = options.advertise === null && endpoint !== null;
    if (!mayDoWithout || !(error instanceof EnrolmentError)) throw error;
    if (error.code !== 'endpoint_refused') throw error;
    return enrol({ ...about, endpoint: null, waiting }, signal);
  });
  await state.writeEnrolment(enrolment);
  await state.writeEndpoint(endpoint);
  emit({ event: 'enrolled', node: enrolment.node_id, address: enrolment.tunnel_address });
  return enrolment;
}
