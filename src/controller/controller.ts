import { constants, X509Certificate } from 'node:crypto';
import type { Server } from 'node:http';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { TLSSocket, Server as TlsServer } from 'node:tls';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { Role } from '../contract/access.ts';
import { toBase64 } from '../contract/encoding.ts';
import type { CryptoProvider, RandomBytes } from '../crypto/provider.ts';
import { replaceFile } from '../ground/files.ts';
import { openFilesLimit } from '../ground/open-files.ts';
import { type ControllerClock, steadyClock } from './clock.ts';
import { connectionRoom } from './connection-room.ts';
import type { ControllerEvent, StampedEvent } from './events.ts';
import { monitorServer } from './http/monitors.ts';
import { adminServer, listenOnSocket, networkServer } from './http/servers.ts';
import { Overload } from './overload.ts';
import { ownCertificate, ownNames, type ServerCertificate } from './own-certificate.ts';
import { type Witness, WitnessClient } from './record/witness-client.ts';
import { createServices, type Services } from './services.ts';
import { completeSettings, type GivenSettings, hostAddresses, type Settings } from './settings.ts';
import { SettingsError } from './settings-error.ts';
import type { Subscriber } from './spine.ts';
import { type ControllerState, keptPolicyIn, keyFileIn, signingKey } from './state-directory.ts';
import { keysSubscriber } from './subscribers/keys.ts';
import { logSubscriber } from './subscribers/log.ts';
import { type EventReceiver, securityEventsSubscriber } from './subscribers/security-events.ts';
import { statusFileSubscriber } from './subscribers/status-file.ts';
import { type Webhook, webhookSubscriber } from './subscribers/webhook.ts';
import { witnessSubscriber } from './subscribers/witness.ts';

export { ControllerStartError, openState } from './state-directory.ts';

/** Longest that subscribers are waited for at the end, ms. */
const DRAIN = 2000;
/** Connections that may wait to be accepted: after a start all members come at once. Linux takes up to somaxconn. */
const BACKLOG = 4096;

export interface ControllerOptions {
  /** Its store, and the directory of the signing key, the admin socket and status.json. */
  readonly state: ControllerState;
  readonly listen: { readonly host: string; readonly port: number };
  /** Where monitors read metrics and status, whoever they are. */
  readonly metrics?: { readonly host: string; readonly port: number };
  readonly settings?: GivenSettings;
  /** `own`: a certificate that the mesh's key signs. Without it the network side speaks plain HTTP. */
  readonly tls?: ServerCertificate | 'own';
  /** Who may administer by a client certificate. Only where it speaks TLS. */
  readonly clients?: ClientCertificates;
  /** Address of the reverse proxy that all calls come by, and that tells who made them. */
  readonly proxy?: string;
  readonly crypto: CryptoProvider;
  readonly random: RandomBytes;
  readonly clock?: ControllerClock;
  readonly logger?: Logger;
  /** Called when something has happened, before anybody else is told. */
  readonly onEvent?: (event: StampedEvent) => void;
  readonly subscribers?: readonly Subscriber[];
  /** Who is told of changes. */
  readonly webhooks?: readonly Webhook[];
  /** Who is told of them by Security Event Tokens. */
  readonly eventReceivers?: readonly EventReceiver[];
  /** Who cosigns the log. */
  readonly witnesses?: readonly Witness[];
}

/** Whose client certificates are verified, and what they are good for. */
export interface ClientCertificates {
  /** What they are verified by at present. */
  readonly trust: ClientTrust;
  /** The role of a certificate by its name, at present; undefined: none. */
  readonly roleOf: (name: string) => Role | undefined;
}

/** PEM. */
export interface ClientTrust {
  /** Authorities, one after the other. */
  readonly ca: string;
  /** What they have revoked: a list of each. */
  readonly crl?: readonly string[];
}

export interface Controller {
  /** Base URL of the network side. */
  readonly url: string;
  readonly port: number;
  readonly adminSocket: string;
  /** 32 bytes: the fingerprint of the controller's key. */
  readonly meshId: Uint8Array;
  readonly services: Services;
  /** For connections from now on, in place of the one before. Only where it speaks TLS. */
  useCertificate(certificate: ServerCertificate): void;
  /** By what `clients` trusts now, from now on; whoever showed a certificate before is disconnected. */
  readonly verifyClients: () => void;
  close(): Promise<void>;
}

/**
 * Decides the first epoch or waits for the members of the last, and serves. The state is closed with the
 * controller, and when it cannot start.
 */
export async function startController(options: ControllerOptions): Promise<Controller> {
  const { state, crypto, random } = options;
  const { store, directory } = state;
  try {
    const settings = completeSettings(options.settings);
    const { witness } = settings;
    const asked = options.witnesses?.length ?? 0;
    if (witness !== null && witness.needed > asked) {
      throw new SettingsError(
        'witness.needed',
        `no more than the ${asked} witnesses that are asked`,
      );
    }
    const seed = await signingKey(store, keyFileIn(directory), crypto, random);
    const controller = await serve(options, settings, seed);
    const close = () => controller.close().finally(() => state.close());
    return { ...controller, close };
  } catch (error) {
    await state.close();
    throw error;
  }
}

async function serve(
  options: ControllerOptions,
  settings: Settings,
  signingSeed: Uint8Array,
): Promise<Controller> {
  const { crypto, random, onEvent } = options;
  const { store, directory: place } = options.state;
  const clock = options.clock ?? steadyClock(await store.latestTime());
  const adminSocket = join(place, 'admin.sock');
  const overload = new Overload();
  const services = createServices({
    store,
    settings,
    clock,
    crypto,
    random,
    signingSeed,
    overload,
    witnesses: (options.witnesses ?? []).map((one) => one.key.name),
    onEvent,
    certificateRole: (name) => options.clients?.roleOf(name),
    keepPolicy: (document) =>
      replaceFile(keptPolicyIn(place), `${JSON.stringify(document, null, 2)}\n`, {
        mode: 0o600,
        durable: true,
      }),
    monotonic: () => performance.now(),
  });
  const { spine, emit, governor, streams, documents, meshId, cosigning } = services;
  spine.subscribe(keysSubscriber(services));
  if (options.logger) spine.subscribe(logSubscriber(options.logger));
  spine.subscribe(statusFileSubscriber(join(place, 'status.json'), () => documents.present()));
  for (const subscriber of options.subscribers ?? []) spine.subscribe(subscriber);
  const sleep = (ms: number) => delay(ms, undefined, { ref: false });
  for (const webhook of options.webhooks ?? []) {
    spine.subscribe(webhookSubscriber({ ...webhook, meshId: toBase64(meshId), fetch, sleep }));
  }
  for (const receiver of options.eventReceivers ?? []) {
    const signing = { crypto, meshId, signingSeed };
    spine.subscribe(securityEventsSubscriber({ ...receiver, ...signing, fetch, sleep }));
  }
  for (const witness of options.witnesses ?? []) {
    const client = new WitnessClient(witness, { crypto, store, log: services.log, fetch });
    spine.subscribe(witnessSubscriber(client, cosigning));
  }
  const servers: FastifyInstance[] = [];
  let monitors: Server | undefined;
  const stop = async (): Promise<void> => {
    streams.close();
    await Promise.all(servers.map((server) => server.close()));
    monitors?.close();
    monitors?.closeAllConnections();
    await governor.close();
    overload.close();
    await spine.drained(DRAIN);
    signingSeed.fill(0);
  };
  try {
    const tls =
      options.tls === 'own'
        ? ownCertificate(crypto, signingSeed, ownNames(options.listen.host), clock.now())
        : options.tls;
    const { length: addresses } = hostAddresses(settings.tunnelPrefix);
    const descriptors = openFilesLimit();
    const room = connectionRoom(addresses, descriptors);
    const verifying = () => options.clients && verifyingClients(options.clients.trust);
    const network = await networkServer(services, {
      maxConnections: room.connections,
      ...(tls === undefined ? {} : { tls: { ...tls, ...verifying() } }),
      ...(options.proxy === undefined ? {} : { proxy: options.proxy }),
    });
    servers.push(network);
    const verified = options.clients && connectionsWithCertificate(network.server);
    // First: a controller that nobody can reach decides nothing. Whoever asks before it has is told.
    const url = await network.listen({ ...options.listen, backlog: BACKLOG });
    emit({ event: 'started', mesh_id: toBase64(meshId), url });
    if (room.members < addresses) {
      const { connections, members, descriptorsNeeded: descriptors_needed } = room;
      const found = { descriptors, descriptors_needed, connections, members, addresses };
      emit({ event: 'descriptors_short', ...found });
    }
    if (tls) emit(certificateUsed(tls));
    if (options.metrics) monitors = await monitorServer(services, options.metrics);
    await governor.start();
    const admin = await adminServer(services);
    servers.push(admin);
    await listenOnSocket(admin, adminSocket);
    emit({ event: 'admins_served', socket: adminSocket });
    const close = async () => {
      emit({ event: 'stopping' });
      await stop();
    };
    let present = tls;
    const serveWith = (certificate: ServerCertificate | undefined) => {
      const context = { ...certificate, ...verifying() };
      (network.server as unknown as TlsServer).setSecureContext(context);
      present = certificate; // what TLS does not take has thrown
    };
    const useCertificate = (certificate: ServerCertificate) => {
      serveWith(certificate);
      emit(certificateUsed(certificate));
    };
    const verifyClients = () => {
      serveWith(present);
      for (const socket of verified ?? []) socket.destroy();
      emit({ event: 'clients_verified' });
    };
    const port = Number(new URL(url).port);
    return { url, port, adminSocket, meshId, services, useCertificate, verifyClients, close };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * Options of TLS: whoever shows a certificate has it verified, others come as before. Without session
 * tickets: a session that is resumed would be believed by what was verified when it began.
 */
function verifyingClients({ ca, crl }: ClientTrust) {
  const secureOptions = constants.SSL_OP_NO_TICKET;
  const revoked = crl === undefined ? {} : { crl: [...crl] };
  return { ca, ...revoked, requestCert: true, rejectUnauthorized: false, secureOptions };
}

/** Those at present whose callers have shown a certificate. */
function connectionsWithCertificate(server: Server): ReadonlySet<TLSSocket> {
  const open = new Set<TLSSocket>();
  server.on('secureConnection', (socket: TLSSocket) => {
    if (socket.getPeerX509Certificate() === undefined) return;
    open.add(socket);
    socket.on('close', () => open.delete(socket));
  });
  return open;
}

function certificateUsed({ cert }: ServerCertificate): ControllerEvent {
  const { subjectAltName: names = 'nobody by name', validToDate } = new X509Certificate(cert);
  return { event: 'certificate_used', names, expires_at: validToDate.getTime() };
}
