import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import { type Logger, pino } from 'pino';
import { controllerFingerprint } from '../contract/ids.ts';
import { KeyFileError, readKeyFile, writeKeyFile } from '../contract/key-file.ts';
import type { CryptoProvider, RandomBytes } from '../crypto/provider.ts';
import { Benchmarks } from './benchmarks.ts';
import { type ControllerClock, systemClock } from './clock.ts';
import { ConfigBuilder } from './config-builder.ts';
import { Enrolments } from './enrolments.ts';
import type { Epoch } from './epoch.ts';
import { epochDocument } from './epoch-document.ts';
import { Governor } from './governor.ts';
import { RequestAuth } from './request-auth.ts';
import { adminRoutes } from './routes/admin.ts';
import { nodeRoutes } from './routes/nodes.ts';
import { membersAndLoopback, stateRoutes } from './routes/public.ts';
import { createServer } from './server.ts';
import type { Services } from './services.ts';
import { completeSettings, type GivenSettings, type Settings } from './settings.ts';
import { SqliteStore } from './store-sqlite.ts';
import { StreamHub } from './stream-hub.ts';

export interface ControllerOptions {
  /** Directory of the database, the signing key, the admin socket and status.json. */
  readonly state: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly settings?: GivenSettings;
  /** PEM. */
  readonly tls?: { readonly key: string; readonly cert: string };
  /** The database was restored from a backup. */
  readonly restored?: boolean;
  readonly crypto: CryptoProvider;
  readonly random: RandomBytes;
  readonly clock?: ControllerClock;
  readonly logger?: Logger;
  /** Called right after an epoch's commit is on the disk, before anybody is told. */
  readonly onEpoch?: (epoch: Epoch) => void;
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

/** A start that cannot succeed by being tried again. */
export class ControllerStartError extends Error {
  override readonly name = 'ControllerStartError';
}

/** Opens (or creates) the state, decides the first epoch, and serves. */
export async function startController(options: ControllerOptions): Promise<Controller> {
  const { state, crypto, random } = options;
  const clock = options.clock ?? systemClock;
  const logger = options.logger ?? pino({ level: 'silent' });
  const settings = completeSettings(options.settings);
  mkdirSync(state, { recursive: true, mode: 0o700 });
  const adminSocket = join(state, 'admin.sock');
  await refuseSecondStart(adminSocket);
  const signingSeed = signingKey(join(state, 'controller.key'), random);
  const meshId = controllerFingerprint(crypto, crypto.ed25519Public(signingSeed));
  const store = new SqliteStore(join(state, 'mesh.db'));
  const streams = new StreamHub({ crypto, clock, meshId, signingSeed });
  const statusFile = join(state, 'status.json');
  const governor = new Governor({
    store,
    settings,
    clock,
    crypto,
    random,
    meshId,
    ...(options.restored === undefined ? {} : { restored: options.restored }),
    onEpoch: (epoch) => {
      options.onEpoch?.(epoch);
      streams.publish(epoch);
      logEpoch(logger, epoch, settings);
      epochDocument(governor, settings, clock, meshId)
        .then((document) => writeAtomically(statusFile, `${JSON.stringify(document, null, 2)}\n`))
        .catch((error) => logger.error({ err: error }, 'status.json could not be written'));
    },
    onError: (error) => logger.error({ err: error }, 'an epoch could not be committed'),
  });
  const common = { store, governor, settings, clock, crypto, meshId };
  const services: Services = {
    meshId,
    settings,
    clock,
    store,
    governor,
    auth: new RequestAuth(crypto, clock),
    benchmarks: new Benchmarks(common),
    enrolments: new Enrolments({ ...common, random, signingSeed }),
    configs: new ConfigBuilder({ governor, settings, clock, crypto, meshId, signingSeed }),
    streams,
    problems: new Map(),
    statusFile,
  };
  const servers: FastifyInstance[] = [];
  const close = async (): Promise<void> => {
    streams.close();
    await Promise.all(servers.map((server) => server.close()));
    await governor.close();
    await store.close();
    signingSeed.fill(0);
  };
  try {
    await governor.start();
    const network = await networkServer(services, logger, options.tls);
    servers.push(network);
    const url = await network.listen({ host: options.listen.host, port: options.listen.port });
    servers.push(await adminServer(services, logger, adminSocket));
    return { url, port: Number(new URL(url).port), adminSocket, meshId, services, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function networkServer(
  services: Services,
  logger: FastifyBaseLogger,
  tls: ControllerOptions['tls'],
): Promise<FastifyInstance> {
  const { problems } = services;
  const app = await createServer({ logger, problems, ...(tls === undefined ? {} : { tls }) });
  nodeRoutes(app, services);
  stateRoutes(app, services, membersAndLoopback(services));
  return app;
}

async function adminServer(
  services: Services,
  logger: FastifyBaseLogger,
  path: string,
): Promise<FastifyInstance> {
  const app = await createServer({ logger, problems: services.problems });
  adminRoutes(app, services);
  stateRoutes(app, services, () => {});
  rmSync(path, { force: true });
  const umask = process.umask(0o177); // the socket must never be open to others, not for an instant
  try {
    await app.listen({ path });
  } finally {
    process.umask(umask);
  }
  chmodSync(path, 0o600);
  return app;
}

/** Two controllers on one state directory would fight over its socket and database. */
async function refuseSecondStart(socket: string): Promise<void> {
  if (!existsSync(socket)) return;
  const isAnswered = await new Promise<boolean>((resolve) => {
    const probe = connect(socket, () => {
      probe.destroy();
      resolve(true);
    });
    probe.on('error', () => resolve(false));
  });
  if (isAnswered) throw new ControllerStartError(`${socket}: a controller is running here already`);
}

function signingKey(path: string, random: RandomBytes): Uint8Array {
  try {
    return readKeyFile(path);
  } catch (error) {
    if (!(error instanceof KeyFileError) || error.code !== 'missing') throw error;
    const seed = random(32);
    writeKeyFile(path, seed);
    return seed;
  }
}

function logEpoch(logger: Logger, epoch: Epoch, settings: Settings): void {
  const denied = Object.entries(epoch.verdicts).filter(([, verdict]) => !verdict.allowed);
  logger.info(
    {
      epoch: epoch.epoch,
      version: epoch.version,
      members: epoch.members.map((one) => one.nodeId),
      removed: epoch.removed,
      ...(settings.observeOnly ? { would_deny: denied.map(([nodeId]) => nodeId) } : {}),
    },
    'epoch committed',
  );
  for (const [nodeId, verdict] of denied) {
    logger.info({ node_id: nodeId, reason: verdict.reason }, verdict.explanation);
  }
}

function writeAtomically(path: string, text: string): void {
  const temporary = `${path}.new`;
  writeFileSync(temporary, text, { mode: 0o644 });
  renameSync(temporary, path);
}
