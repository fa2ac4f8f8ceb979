import type { Server } from 'node:http';
import { join } from 'node:path';
import type { CryptoProvider, RandomBytes } from '../crypto/provider.ts';
import { ensurePrivateDirectory } from '../ground/directory.ts';
import { lockDirectory } from '../ground/lock.ts';
import { TunnelError } from '../tunnel/create-tunnel.ts';
import { ownIdentity } from './accepted-config.ts';
import type { Backend, BackendOptions } from './backend.ts';
import { CallReports } from './call-reports.ts';
import type { AgentClock, RandomNumber } from './clock.ts';
import { ConfigAgent } from './config-agent.ts';
import { ControllerClient } from './controller-client.ts';
import { Counters } from './counters.ts';
import { Emitter } from './emitter.ts';
import { EndpointAnnouncer } from './endpoint-announcer.ts';
import type { EmitEvent } from './events.ts';
import { HeaderCompare } from './header-compare.ts';
import type { Fetch } from './http-calls.ts';
import { enrolled } from './join.ts';
import { rememberController } from './known-controller.ts';
import { Membership } from './membership.ts';
import { keepNames, type NamesOptions } from './names/keep-names.ts';
import { ensureNodeKeys, ensureWitnessKey, type NodeKeys } from './node-keys.ts';
import { type Enrolment, type NodeState, openNodeState } from './node-state.ts';
import { freeUdpPort, ownEndpoint, ownPlaces } from './own-endpoint.ts';
import { Probe } from './probe.ts';
import { ReachReporter } from './reach-reporter.ts';
import type { SuiteSource } from './score-source.ts';
import { EventFeed } from './socket/event-feed.ts';
import { openNodeSocket } from './socket/node-socket.ts';
import { pingNode } from './socket/ping-node.ts';
import { type NodeStatusDocument, nodeStatus } from './status.ts';
import { serveStatus, writeStatusFile } from './status-output.ts';
import { Witness } from './witness.ts';
import { serveWitness } from './witness-server.ts';

export interface NodeOptions {
  /** Keys and durable memory; made with mode 0700 if it is not there. */
  readonly stateDirectory: string;
  /** What it must be enrolled as. */
  readonly nodeId?: string;
  /** The name to enrol as if `nodeId` is not given. */
  readonly defaultNodeId?: string;
  readonly token?: string;
  readonly controllerUrl: string;
  /**
   * Address that other members reach this node's UDP port at; null: they try those of this machine, and
   * the one that the controller sees it come from.
   */
  readonly advertise: string | null;
  /** 0: any port, remembered over restarts. */
  readonly listenPort: number;
  /** ms: production 10 s, 10 s, 15 s. */
  readonly emitMs: number;
  readonly pollMs: number;
  readonly probeMs: number;
  /** None: no scores are sent from here (an evaluator does). One for a suite. */
  readonly sources: readonly SuiteSource[];
  /** Of a measurement that does not tell. */
  readonly samples?: number;
  readonly push: boolean;
  /** Cosigns the mesh's log for whoever asks here. */
  readonly witness?: { readonly host: string; readonly port: number };
  /** How members can be found by name. */
  readonly names?: NamesOptions;
  /** Serves metrics and status here. */
  readonly metrics?: { readonly host: string; readonly port: number };
}

/** Everything outside of this process that a node touches. */
export interface NodeSurroundings {
  readonly fetch: Fetch;
  readonly clock: AgentClock;
  readonly crypto: CryptoProvider;
  readonly randomBytes: RandomBytes;
  readonly random: RandomNumber;
  readonly emit: EmitEvent;
  /** Throws a TunnelError if `openBackend` would in any case. Asked before a token is spent. */
  readonly assertCanOpen?: () => Promise<void>;
  readonly openBackend: (options: Omit<BackendOptions, 'kind' | 'name'>) => Promise<Backend>;
}

export interface RunningNode {
  readonly enrolment: Enrolment;
  readonly backend: Backend;
  status(): NodeStatusDocument;
  /** Settles when the node has stopped; rejects if it could not go on. */
  readonly ended: Promise<void>;
}

const CALL_TIMEOUT_MS = 5000;

/** Enrols if need be, opens the tunnel and runs all parts until `signal` aborts. */
export async function startNode(
  options: NodeOptions,
  surroundings: NodeSurroundings,
  signal: AbortSignal,
): Promise<RunningNode> {
  ensurePrivateDirectory(options.stateDirectory);
  const lock = lockDirectory(options.stateDirectory, { program: 'meshnet node' });
  try {
    const node = await startLocked(options, surroundings, signal);
    void node.ended.finally(() => lock.release()).catch(() => {}); // whoever waits for it is told
    return node;
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function startLocked(
  options: NodeOptions,
  given: NodeSurroundings,
  signal: AbortSignal,
): Promise<RunningNode> {
  const feed = new EventFeed(() => given.clock.wall());
  const emit: EmitEvent = (event) => {
    given.emit(event);
    feed.emit(event);
  };
  const surroundings: NodeSurroundings = { ...given, emit };
  const { fetch, clock, crypto, randomBytes, random } = surroundings;
  const keys = ensureNodeKeys(options.stateDirectory, randomBytes);
  const state = openNodeState(options.stateDirectory);
  const client = new ControllerClient({
    fetch,
    clock,
    crypto,
    random: randomBytes,
    url: options.controllerUrl,
    timeoutMs: Math.min(CALL_TIMEOUT_MS, options.pollMs),
  });
  if (options.token !== undefined) await surroundings.assertCanOpen?.();
  const enrolment = await enrolled(options, surroundings, client, keys, state, signal);
  rememberController(options.stateDirectory, options.controllerUrl);
  const identity = ownIdentity(crypto, enrolment, keys);
  client.belongTo(identity.meshId);
  const counters = new Counters();

  const backend = await openedBackend(options, surroundings, enrolment, keys, state);
  const membership = new Membership({
    epochS: enrolment.epoch_s,
    datedUntil: () => backend.tunnel.status().handshakesDatedUntil,
    tunnel: backend.tunnel,
    state,
    clock,
    counters,
    emit,
    ...(backend.onLease === undefined ? {} : { onLease: backend.onLease }),
  });
  const configAgent = new ConfigAgent({
    client,
    membership,
    state,
    identity,
    signingSeed: keys.signing,
    clock,
    crypto,
    random,
    counters,
    emit,
    pollMs: options.pollMs,
    push: options.push,
  });
  const probe = new Probe({
    ping: backend.ping,
    roster: () => membership.roster,
    clock,
    random,
    counters,
    emit,
    intervalMs: options.probeMs,
  });
  const emitters: Emitter[] = [];
  const status = (): NodeStatusDocument =>
    nodeStatus({
      scores: emitters.map((emitter) => emitter.progress()),
      nodeId: enrolment.node_id,
      backend: backend.kind,
      tunnelAddress: enrolment.tunnel_address,
      places: announcer.places,
      tunnel: backend.tunnel,
      dataPath: backend.describe?.() ?? null,
      membership,
      ...(backend.overlap === undefined ? {} : { overlap: backend.overlap }),
      configAgent,
      probe,
      counters,
      clock,
    });

  const reach = new ReachReporter({
    client,
    identity,
    signingSeed: keys.signing,
    status,
    crypto,
    clock,
    random,
    calls: new CallReports(counters, emit),
    intervalMs: options.probeMs,
  });

  // The port may have moved when the backend was opened.
  const port = () => state.readEnrolment()?.listen_port ?? enrolment.listen_port;
  const { advertise, controllerUrl } = options;
  const announcer = new EndpointAnnouncer({
    client,
    nodeId: enrolment.node_id,
    signingSeed: keys.signing,
    clock,
    random,
    emit,
    where: () =>
      advertise === null
        ? ownPlaces(controllerUrl, port(), enrolment.tunnel_prefix)
        : ownEndpoint(advertise, controllerUrl, port()),
    told: advertise === null ? undefined : state.readEndpoint(),
    remember: (value) => state.writeEndpoint(value),
  });

  const stop = new AbortController();
  const until = AbortSignal.any([signal, stop.signal]);
  const servers: Server[] = [];
  const socket = await openNodeSocket(options.stateDirectory, emit, {
    status,
    feed,
    ping: (node) => pingNode(node, { ping: backend.ping, status, roster: () => membership.roster }),
    stop: () => stop.abort(),
  });
  try {
    await membership.start();
    if (options.metrics) {
      servers.push(await serveStatus(options.metrics.host, options.metrics.port, status));
    }
    if (options.witness) {
      const seed = ensureWitnessKey(options.stateDirectory, randomBytes);
      const { log } = configAgent;
      const witness = new Witness({ crypto, identity, seed, state, log, clock, counters, emit });
      const { server, url } = await serveWitness(options.witness, witness);
      servers.push(server);
      emit({ event: 'witness', key: witness.verifierKey, url });
    }
  } catch (error) {
    await backend.tunnel.close();
    closeAll([...servers, socket]);
    throw error;
  }
  emit({
    event: 'started',
    node: enrolment.node_id,
    backend: backend.kind,
    address: enrolment.tunnel_address,
    endpoint: await ownEndpoint(advertise, controllerUrl, port()),
    aead: backend.describe?.().aead ?? null,
    offloads: backend.describe?.().offloads ?? [],
  });

  const parts = [
    configAgent.run(until),
    probe.run(until),
    writeStatusFile(join(options.stateDirectory, 'status.json'), status, clock, emit, until),
    reportReadiness(status, clock, emit, until),
    announcer.run(until),
    reach.run(until),
    tunnelEnd(backend, until),
    compareHeaders(configAgent, membership, surroundings, counters, backend, until),
  ];
  if (options.names !== undefined) {
    const { node_id, tunnel_address: tunnelAddress } = enrolment;
    const names = () =>
      new Map([
        [node_id, tunnelAddress],
        ...[...membership.peers.values()].map((peer) => [peer.nodeId, peer.tunnelAddress] as const),
      ]);
    const surrounding = { tunnelAddress, names, clock, counters, emit };
    parts.push(keepNames(options.names, surrounding, until));
  }
  for (const { suite, source, intervalMs, runningSince } of options.sources) {
    const emitter = new Emitter({
      client,
      source,
      state,
      meshId: identity.meshId,
      nodeId: enrolment.node_id,
      signingSeed: keys.signing,
      clock,
      crypto,
      random,
      counters,
      emit,
      intervalMs: intervalMs ?? options.emitMs,
      suite,
      ...(runningSince === undefined ? {} : { runningSince }),
      ...(options.samples === undefined ? {} : { samples: options.samples }),
    });
    emitters.push(emitter);
    // A score that is accepted is one that the next epoch counts.
    parts.push(configAgent.answered.then(() => emitter.run(until)));
  }
  const ended = (async () => {
    try {
      await Promise.all(parts);
    } finally {
      stop.abort(); // a part that failed ends the others: half a node is worse than none
      await Promise.allSettled(parts);
      await membership.stop();
      await backend.tunnel.close();
      closeAll(servers);
      await state.close(); // a push that came with the end may still be looked into
      emit({ event: 'stopped' });
      closeAll([socket]);
    }
  })();
  return { enrolment, backend, status, ended };
}

function closeAll(servers: readonly (Server | undefined)[]): void {
  for (const server of servers) {
    server?.close();
    server?.closeAllConnections();
  }
}

/** Compares headers with other members. Where that cannot be, the node does without, and says so. */
async function compareHeaders(
  { headers }: ConfigAgent,
  membership: Membership,
  { clock, random, emit }: NodeSurroundings,
  counters: Counters,
  { datagrams }: Backend,
  signal: AbortSignal,
): Promise<void> {
  const members = () => [...membership.peers.values()].map((peer) => peer.tunnelAddress);
  try {
    const compare = new HeaderCompare({ headers, members, clock, random, counters });
    await compare.run(datagrams, signal);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    emit({ event: 'device_note', detail: `headers are not compared with other members: ${why}` });
  }
}

/** Opens the tunnel on the port that the mesh was told, or on another if that is taken by now. */
async function openedBackend(
  options: NodeOptions,
  { openBackend, emit }: NodeSurroundings,
  enrolment: Enrolment,
  keys: NodeKeys,
  state: NodeState,
): Promise<Backend> {
  const open = (listenPort: number) =>
    openBackend({
      privateKey: keys.wireguard,
      listenPort,
      tunnelAddress: enrolment.tunnel_address,
      tunnelPrefix: enrolment.tunnel_prefix,
      epochS: enrolment.epoch_s,
      graceS: enrolment.grace_s,
      log: (detail) => emit({ event: 'device_note', detail }),
    });
  try {
    return await open(enrolment.listen_port);
  } catch (error) {
    const taken = error instanceof TunnelError && error.code === 'address_in_use';
    if (!taken || options.listenPort !== 0) throw error;
    const listenPort = await freeUdpPort();
    const detail = `UDP port ${enrolment.listen_port} is taken; others learn of ${listenPort} when this node calls them`;
    emit({ event: 'device_note', detail });
    const backend = await open(listenPort);
    await state.writeEnrolment({ ...enrolment, listen_port: listenPort });
    return backend;
  }
}

/** Rejects if the tunnel ends by itself (its interface was deleted, a data thread crashed). */
async function tunnelEnd(backend: Backend, signal: AbortSignal): Promise<void> {
  const aborted = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await Promise.race([
    aborted,
    backend.tunnel.closed.then((error) => {
      if (!signal.aborted) throw error ?? new Error('the tunnel was closed from outside');
    }),
  ]);
}

const READINESS_MS = 200;

async function reportReadiness(
  status: () => NodeStatusDocument,
  clock: AgentClock,
  emit: EmitEvent,
  signal: AbortSignal,
): Promise<void> {
  let last: string | undefined;
  while (!signal.aborted) {
    const { ready, ready_reason } = status();
    if (ready_reason !== last) emit({ event: 'ready', ready, reason: ready_reason });
    last = ready_reason;
    await clock.sleep(READINESS_MS, signal);
  }
}
