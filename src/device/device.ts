import { copyBytes } from '../crypto/bytes.ts';
import type { CryptoProvider, RandomBytes } from '../crypto/provider.ts';
import { ANYWHERE, type LocalFacts } from '../wire/acceptable-endpoint.ts';
import type { Endpoint } from '../wire/endpoint.ts';
import { readU32 } from '../wire/message-type.ts';
import { Barrier } from './barrier.ts';
import { unprovenPause } from './candidates.ts';
import { Clockwork } from './clockwork.ts';
import type { DeviceChange, PeerStatus } from './config.ts';
import { Configuration } from './configuration.ts';
import type { DataPlane, DataPlaneEvents } from './data-plane.ts';
import type { HandshakeLoad } from './handshake-load.ts';
import { HandshakeQueue } from './handshake-queue.ts';
import { type HandshakeSecrets, Handshakes } from './handshakes.ts';
import type { Peer } from './peer.ts';
import { PeerTable } from './peer-table.ts';
import { ReceiverIndexes } from './receiver-indexes.ts';
import { newRejectCounters, type RejectCounters } from './rejects.ts';
import { DEFAULT_ROTATION, type RotationSettings } from './rotation.ts';
import { type IndexEntry, Sessions } from './sessions.ts';

/** Handshake messages acted on in one turn, so that a flood cannot starve the timers. */
const HANDSHAKES_PER_TURN = 64;

export interface DeviceOptions {
  readonly crypto: CryptoProvider;
  readonly random: RandomBytes;
  readonly plane: DataPlane;
  /** Sizes of the data path's tables. */
  readonly maxPeers: number;
  readonly maxKeypairs: number;
  /** Refuse peers, and handshakes, without a pre-shared key. */
  readonly requirePsk?: boolean;
  readonly rotation?: RotationSettings;
  /** A second measure of load besides the length of the device's own queue. */
  readonly load?: HandshakeLoad;
  /** Wall clock, ms since 1970: for TAI64N labels and the time of the last handshake. */
  readonly wallClock: () => number;
  /** Sends a handshake message. */
  readonly send: (message: Uint8Array, endpoint: Endpoint) => void;
  /** What is known of the own machine. Default: nothing. */
  readonly local?: LocalFacts;
  /** For debugging: told the secrets of every handshake. */
  readonly keyLog?: ((secrets: HandshakeSecrets) => void) | undefined;
  /** Called when a handshake was completed in either role. */
  readonly onHandshake?: (publicKey: Uint8Array, generation: number) => void;
}

/**
 * Control of a WireGuard device, without I/O: handshakes, keypairs, timers, peers. Time (`now`,
 * ms of a monotonic clock), randomness and messages come in; messages go out through `send`, keys
 * and routes to the data path through `DataPlane`.
 *
 * Whoever drives it calls `receive` and then `poll` for handshake messages, `poll` again at
 * `nextPoll`, and passes on the data path's events.
 */
export class Device implements DataPlaneEvents {
  readonly rejects: RejectCounters = newRejectCounters();

  private readonly options: DeviceOptions;
  private readonly peers: PeerTable;
  private readonly sessions: Sessions;
  private readonly handshakes: Handshakes;
  private readonly clockwork: Clockwork;
  private readonly configuration: Configuration;
  private readonly queue = new HandshakeQueue();

  constructor(options: DeviceOptions) {
    this.options = options;
    const { crypto, random, plane, wallClock, send } = options;
    const rotation = options.rotation ?? DEFAULT_ROTATION;
    const local = options.local ?? ANYWHERE;
    const requirePsk = options.requirePsk ?? false;
    const fraction = (): number => readU32(random(4), 0) / 2 ** 32;
    const touched = (peer: Peer): void => this.clockwork.touched(peer);
    const peers = new PeerTable(options.maxPeers);
    const indexes = new ReceiverIndexes<IndexEntry>(random);
    const sessions = new Sessions({
      plane,
      indexes,
      capacity: options.maxKeypairs,
      grace: rotation.grace,
      touched,
    });
    const handshakes = new Handshakes({
      crypto,
      random,
      plane,
      peers,
      indexes,
      sessions,
      requirePsk,
      load: options.load,
      local,
      unprovenPause: unprovenPause(rotation.epoch),
      wallClock,
      send,
      keyLog: options.keyLog,
      touched,
      answered: (peer, now) => this.clockwork.answered(peer, now),
      inUse: (peer) => this.clockwork.inUse(peer),
      completed: (peer, generation) => this.handshakeCompleted(peer, generation),
      reject: (reason) => {
        this.rejects[reason]++;
      },
    });
    const parts = { plane, peers, sessions, handshakes, rotation, random: fraction };
    this.peers = peers;
    this.sessions = sessions;
    this.handshakes = handshakes;
    this.clockwork = new Clockwork(parts);
    const { clockwork } = this;
    this.configuration = new Configuration({ ...parts, crypto, clockwork, requirePsk });
  }

  // ---- configuration ----

  /**
   * Checks the whole change, then applies it; throws a `TunnelError` if it is invalid, with
   * nothing changed. `listenPort` and `fwmark` are the I/O's business and only checked here.
   * `done` is called when the data path has carried everything out.
   */
  configure(change: DeviceChange, now: number, done: () => void = () => {}): void {
    this.configuration.apply(change, now, done);
  }

  /**
   * Zeroes every peer's keypairs made before generation `before`. A governed peer that is left with
   * nothing to send on gets a new session at once: it knows nothing of this, and what it goes on
   * sending cannot be read here any more.
   */
  expireKeypairs(before: number, now: number, done: () => void): void {
    const barrier = new Barrier(done);
    for (const peer of this.peers.all()) {
      const had = peer.keypairs.count;
      this.sessions.remove(peer, (k) => k.generation < before, barrier.hold());
      if (peer.keypairs.sending !== undefined) continue;
      this.clockwork.startRotation(peer, now, had > 0 ? 'expired' : 'epoch');
    }
    barrier.release();
  }

  /** After a suspend nobody knows what time keys are from: drops every session. */
  expireAllSessions(now: number, done: () => void = () => {}): void {
    for (const peer of this.peers.all()) this.handshakes.abandon(peer);
    this.expireKeypairs(Number.POSITIVE_INFINITY, now, done);
  }

  /** Interface up or down: while down no handshake is started and all sessions end. */
  setUp(isUp: boolean, now: number): void {
    const { clockwork } = this;
    if (clockwork.isUp === isUp) return;
    this.queue.clear();
    if (isUp) clockwork.isUp = true;
    else clockwork.stop();
    for (const peer of this.peers.all()) {
      if (isUp) {
        peer.timers.persistentKeepaliveChanged(now);
        clockwork.startRotation(peer, now, 'epoch');
      } else {
        this.endSessions(peer);
      }
      clockwork.touched(peer);
    }
  }

  /** Routes have changed: forgets the local addresses that `isStale` says are of another way now. */
  forgetSources(isStale: (endpoint: Endpoint) => boolean): void {
    for (const peer of this.peers.all()) {
      const endpoint = this.options.plane.getEndpoint(peer.slot);
      if (endpoint?.source !== undefined && isStale(endpoint)) this.handshakes.forgetSource(peer);
    }
  }

  private endSessions(peer: Peer): void {
    const { plane } = this.options;
    this.handshakes.abandon(peer);
    peer.timers.stop();
    peer.initiationSentAt = Number.NEGATIVE_INFINITY; // up again, it may try at once
    plane.dropStaged(peer.slot);
    plane.acceptHandshakeRequests(peer.slot);
    this.sessions.remove(peer, () => true);
  }

  // ---- status ----

  get privateKey(): Uint8Array | undefined {
    const { identity } = this.configuration;
    return identity && copyBytes(identity.privateKey);
  }

  get publicKey(): Uint8Array | undefined {
    const { identity } = this.configuration;
    return identity && copyBytes(identity.publicKey);
  }

  /** Latest date on a handshake message so far, ms since 1970; undefined before the first. */
  get handshakesDatedUntil(): number | undefined {
    return this.handshakes.dates.until;
  }

  peerStatus(): PeerStatus[] {
    return this.configuration.peerStatus();
  }

  // ---- events ----

  /**
   * Takes a handshake message (types 1 to 3); it is acted on in the next `poll`. The message
   * belongs to the device from here on.
   */
  receive(message: Uint8Array, source: Endpoint): void {
    if (!this.clockwork.isUp) this.rejects.handshakeWhileDown++;
    else if (!this.queue.push({ message, source })) this.rejects.handshakeQueueOverflow++;
  }

  /** Handshake messages that wait to be acted on. */
  get waitingHandshakes(): number {
    return this.queue.length;
  }

  /** Data path: packets wait for a session, or the session is due for renewal. */
  handshakeWanted(slot: number, now: number): void {
    const peer = this.peers.at(slot);
    if (peer !== undefined) this.clockwork.handshakeWanted(peer, now);
  }

  /** Data path: first authenticated packet on a keypair. */
  keypairConfirmed(slot: number, now: number): void {
    const confirmed = this.sessions.confirmed(slot, now);
    if (confirmed === undefined || confirmed.keypair.isInitiator) return;
    confirmed.peer.timers.handshakeComplete();
    this.handshakeCompleted(confirmed.peer, confirmed.keypair.generation);
  }

  /** Acts on queued handshake messages and on everything that is due at `now`. */
  poll(now: number): void {
    for (let i = 0; i < HANDSHAKES_PER_TURN; i++) {
      const queueLong = this.queue.isUnderLoad(now);
      const handshake = this.queue.shift();
      if (handshake === undefined) break;
      this.handshakes.receive(handshake.message, handshake.source, queueLong, now);
    }
    this.clockwork.poll(now);
  }

  /** When to call `poll` next, at the latest. */
  nextPoll(now: number): number {
    return this.queue.length > 0 ? now : this.clockwork.nextPoll();
  }

  private handshakeCompleted(peer: Peer, generation: number): void {
    peer.lastHandshakeAt = this.options.wallClock();
    this.options.onHandshake?.(peer.publicKey, generation);
  }
}
