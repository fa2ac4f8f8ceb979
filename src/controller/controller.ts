import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { type Logger, pino } from 'pino';
import { toBase64 } from '../contract/encoding.ts';
import { controllerFingerprint } from '../contract/ids.ts';
import type { CryptoProvider, RandomBytes } from '../crypto/provider.ts';
import { AddressBudget } from './address-budget.ts';
import { Benchmarks } from './benchmarks.ts';
import { type ControllerClock, steadyClock } from './clock.ts';
import { ConfigBuilder } from './config-builder.ts';
import { Enrolments } from './enrolments.ts';
import { epochDocument } from './epoch-document.ts';
import { EpochHeaders } from './epoch-headers.ts';
import type { StampedEvent } from './events.ts';
import { Governor } from './governor.ts';
import { Overload } from './overload.ts';
import { Presence } from './presence.ts';
import { Receipts } from './receipts.ts';
import { PublishedLog } from './record/published-log.ts';
import { RequestAuth } from './request-auth.ts';
import { adminRoutes } from './routes/admin.ts';
import { headerRoutes } from './routes/header.ts';
import { logRoutes } from './routes/log.ts';
import { nodeRoutes } from './routes/nodes.ts';
import { membersAndLoopback, stateRoutes } from './routes/public.ts';
import { createServer } from './server.ts';
import type { Services } from './services.ts';
import { completeSettings, type GivenSettings, type Settings } from './settings.ts';
import { EventSpine, type Subscriber } from './spine.ts';
import { openStore, signingKey, takeStateDirectory } from './state-directory.ts';
import { type HistoryOptions, historyLimits } from './store/history-limits.ts';
import type { Store } from './store/store.ts';
import { StreamHub } from './stream-hub.ts';
import { EventCounters } from './subscribers/counters.ts';
import { logSubscriber } from './subscribers/log.ts';
import { pushSubscriber } from './subscribers/push.ts';
import { statusFileSubscriber } from './subscribers/status-file.ts';

export { ControllerStartError } from './state-directory.ts';

/** Longest that subscribers are waited for at the end, ms. */
const DRAIN = 2000;

export interface ControllerOptions {
  /** Directory of the database, the signing key, the admin socket and status.json. */
  readonly state: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly settings?: GivenSettings;
  /** How much of the past is kept. */
  readonly history?: HistoryOptions;
  /** PEM. */
  readonly tls?: { readonly key: string; readonly cert: string };
  readonly crypto: CryptoProvider;
  readonly random: RandomBytes;
  readonly clock?: ControllerClock;
  readonly logger?: Logger;
  /** Called when something has happened, before anybody else is told. */
  readonly onEvent?: (event: StampedEvent) => void;
  readonly subscribers?: readonly Subscriber[];
}

export interface Controller {
  /** Base URL of the network side. */
  readonly url: string;
  readonly port: number;
  readonly adminSocket: string;
  /** 32 bytes: the fingerprint of the controller's key. */
  readonly meshId: Uint8Array;
  readonly services: Services;
  close(): Promise<void>;
}

/** Opens (or creates) the state, decides the first epoch or waits for its members, and serves. */
export async function startController(options: ControllerOptions): Promise<Controller> {
  const { state, crypto, random } = options;
  const settings = completeSettings(options.settings);
  const lock = takeStateDirectory(state);
  let store: Store | undefined;
  try {
    const history = historyLimits(settings.epochS, options.history);
    store = openStore(join(state, 'mesh.db'), history);
    const seed = await signingKey(store, join(state, 'controller.key'), crypto, random);
    const controller = await serve(options, settings, store, seed);
    const close = () => controller.close().finally(() => lock.release());
    return { ...controller, close };
  } catch (error) {
    await store?.close();
    lock.release();
    throw error;
  }
}

async function serve(
  options: ControllerOptions,
  settings: Settings,
  store: Store,
  signingSeed: Uint8Array,
): Promise<Controller> {
  const { state, crypto, random } = options;
  const logger = options.logger ?? pino({ level: 'silent' });
  const clock = options.clock ?? steadyClock(await store.latestTime());
  const adminSocket = join(state, 'admin.sock');
  const meshId = controllerFingerprint(crypto, crypto.ed25519Public(signingSeed));
  const silenceS = settings.lifetimeS;
  const streams = new StreamHub({ crypto, clock, meshId, signingSeed, silenceS });
  const spine = new EventSpine(() => clock.now());
  const { emit } = spine;
  const counters = new EventCounters();
  const presence = new Presence();
  const overload = new Overload();
  const headers = new EpochHeaders({ crypto, settings, meshId, signingSeed });
  const governor = new Governor({
    store,
    settings,
    clock,
    crypto,
    random,
    meshId,
    presence,
    overload,
    emit,
    headers,
  });
  const { onEvent } = options;
  if (onEvent) spine.subscribeImmediately({ name: 'listener', handle: onEvent });
  spine.subscribeImmediately(pushSubscriber(streams, () => governor.current?.header?.envelope));
  spine.subscribeImmediately(counters);
  spine.subscribe(logSubscriber(logger));
  for (const subscriber of options.subscribers ?? []) spine.subscribe(subscriber);
  const document = () => epochDocument({ governor, settings, clock, meshId, counters });
  spine.subscribe(statusFileSubscriber(join(state, 'status.json'), document));
  const common = { store, governor, settings, clock, crypto, meshId, emit };
  const receipts = new Receipts({ crypto, clock, meshId, signingSeed });
  const services: Services = {
    meshId,
    settings,
    clock,
    store,
    governor,
    auth: new RequestAuth(crypto, clock, receipts),
    benchmarks: new Benchmarks({ ...common, receipts }),
    enrolments: new Enrolments({ ...common, random, signingSeed }),
    configs: new ConfigBuilder({ governor, settings, clock, crypto, meshId, signingSeed }),
    log: new PublishedLog({ crypto, store, meshId, signingSeed }),
    streams,
    presence,
    emit,
    spine,
    counters,
    budget: new AddressBudget(() => performance.now()),
    problems: new Map(),
  };
  const servers: FastifyInstance[] = [];
  const stop = async (): Promise<void> => {
    streams.close();
    await Promise.all(servers.map((server) => server.close()));
    await governor.close();
    overload.close();
    await spine.drained(DRAIN);
    signingSeed.fill(0);
  };
  try {
    const network = await networkServer(services, logger, options.tls);
    servers.push(network);
    // First: a controller that nobody can reach decides nothing. Whoever asks before it has is told.
    const url = await network.listen({ host: options.listen.host, port: options.listen.port });
    emit({ event: 'started', mesh_id: toBase64(meshId), url });
    await governor.start();
    servers.push(await adminServer(services, logger, adminSocket));
    const close = async () => {
      emit({ event: 'stopping' });
      await stop();
      await store.close();
    };
    return { url, port: Number(new URL(url).port), adminSocket, meshId, services, close };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function networkServer(
  services: Services,
  logger: Logger,
  tls: ControllerOptions['tls'],
): Promise<FastifyInstance> {
  const { problems, clock } = services;
  const options = { logger, problems, now: () => clock.now() };
  const app = await createServer({ ...options, ...(tls === undefined ? {} : { tls }) });
  nodeRoutes(app, services);
  const mayRead = membersAndLoopback(services);
  stateRoutes(app, services, mayRead);
  logRoutes(app, services, mayRead);
  headerRoutes(app, services);
  return app;
}

async function adminServer(
  services: Services,
  logger: Logger,
  path: string,
): Promise<FastifyInstance> {
  const { problems, clock } = services;
  const app = await createServer({ logger, problems, now: () => clock.now() });
  adminRoutes(app, services);
  stateRoutes(app, services, () => {});
  logRoutes(app, services, () => {});
  rmSync(path, { force: true }); // the database is locked: whoever listened here is gone
  const umask = process.umask(0o177); // the socket must never be open to others, not for an instant
  try {
    await app.listen({ path });
  } finally {
    process.umask(umask);
  }
  return app;
}
