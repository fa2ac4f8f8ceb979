import { constantTimeEqual, copyBytes, isZero, zeroize } from '../crypto/bytes.ts';
import type { CryptoProvider, RandomBytes } from '../crypto/provider.ts';
import { KEEPALIVE_TIMEOUT, REJECT_AFTER_TIME, REKEY_TIMEOUT } from '../session/limits.ts';
import { ANYWHERE, type LocalFacts } from '../wire/acceptable-endpoint.ts';
import type { Endpoint } from '../wire/endpoint.ts';
import { readU32 } from '../wire/message-type.ts';
import { maskPrefix, type Prefix } from '../wire/prefix.ts';
import { sampleActivity } from './activity.ts';
import { Barrier } from './barrier.ts';
import { checkChange } from './check-change.ts';
import type { DeviceChange, PeerChange, PeerStatus } from './config.ts';
import {
  type DataPlane,
  type DataPlaneEvents,
  newActivity,
  type PeerActivity,
} from './data-plane.ts';
import type { HandshakeLoad } from './handshake-load.ts';
import { HandshakeQueue } from './handshake-queue.ts';
import { Handshakes, UNKNOWN_INITIATOR_TIME } from './handshakes.ts';
import { Identity } from './identity.ts';
import type { Peer } from './peer.ts';
import { PeerTable } from './peer-table.ts';
import { ReceiverIndexes } from './receiver-indexes.ts';
import { newRejectCounters, type RejectCounters } from './rejects.ts';
import {
  DEFAULT_ROTATION,
  MIN_INITIATION_SPACING,
  Rotation,
  type RotationSettings,
  rotationStart,
} from './rotation.ts';
import { type IndexEntry, Sessions } from './sessions.ts';

const NEVER = Number.POSITIVE_INFINITY;
/** How often the data path's activity is looked at for the timers, ms. */
const SAMPLE_INTERVAL = 250;
/** Handshake messages acted on in one turn, so that a flood cannot starve the timers. */
const HANDSHAKES_PER_TURN = 64;
/** An initiator renews when packets still come in this late in a session (paper 6.2). */
const RENEW_ON_RECEIVE_AFTER = REJECT_AFTER_TIME - KEEPALIVE_TIMEOUT - REKEY_TIMEOUT;

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
  private readonly indexes: ReceiverIndexes<IndexEntry>;
  private readonly sessions: Sessions;
  private readonly handshakes: Handshakes;
  private readonly queue = new HandshakeQueue();
  private readonly rotation: RotationSettings;
  private readonly local: LocalFacts;
  private readonly sampled: PeerActivity = newActivity();
  /** Which peer each allowed prefix goes to: a prefix belongs to one peer at a time. */
  private readonly routes = new Map<string, Peer>();
  private identity: Identity | undefined;
  private sampledAt = Number.NEGATIVE_INFINITY;
  private isUp = true;

  constructor(options: DeviceOptions) {
    this.options = options;
    const { crypto, random, plane, wallClock, send } = options;
    this.rotation = options.rotation ?? DEFAULT_ROTATION;
    this.local = options.local ?? ANYWHERE;
    this.peers = new PeerTable(options.maxPeers);
    this.indexes = new ReceiverIndexes(random);
    this.sessions = new Sessions(plane, this.indexes, options.maxKeypairs, this.rotation.grace);
    this.handshakes = new Handshakes({
      crypto,
      random,
      plane,
      peers: this.peers,
      indexes: this.indexes,
      sessions: this.sessions,
      requirePsk: options.requirePsk ?? false,
      load: options.load,
      local: this.local,
      wallClock,
      send,
      completed: (peer, generation) => this.handshakeCompleted(peer, generation),
      reject: (reason) => {
        this.rejects[reason]++;
      },
    });
  }

  // ---- configuration ----

  /**
   * Checks the whole change, then applies it; throws a `TunnelError` if it is invalid, with
   * nothing changed. `listenPort` and `fwmark` are the I/O's business and only checked here.
   * `done` is called when the data path has carried everything out.
   */
  configure(change: DeviceChange, now: number, done: () => void = () => {}): void {
    checkChange(
      change,
      {
        requirePsk: this.options.requirePsk ?? false,
        freePeers: this.peers.free,
        local: this.local,
      },
      (publicKey) => this.peers.get(publicKey),
    );
    const barrier = new Barrier(done);
    if (change.privateKey !== undefined) this.setPrivateKey(change.privateKey, now, barrier);
    if (change.replacePeers) {
      for (const peer of [...this.peers.all()]) this.removePeer(peer, barrier);
    }
    for (const peer of change.peers ?? []) this.changePeer(peer, now, barrier);
    barrier.release();
  }

  /**
   * Zeroes every peer's keypairs made before generation `before`. A governed peer that is left with
   * nothing to send on gets a new session at once: it knows nothing of this, and what it goes on
   * sending cannot be read here any more.
   */
  expireKeypairs(before: number, now: number, done: () => void): void {
    const barrier = new Barrier(done);
    for (const peer of this.peers.all()) {
      this.sessions.remove(peer, (k) => k.generation < before, barrier.hold());
      if (peer.keypairs.sending === undefined) this.startRotation(peer, now, false);
    }
    barrier.release();
  }

  /** After a suspend nobody knows what time keys are from: drops every session. */
  expireAllSessions(now: number, done: () => void = () => {}): void {
    for (const peer of this.peers.all()) this.handshakes.abandon(peer);
    this.expireKeypairs(NEVER, now, done);
  }

  /** Interface up or down: while down no handshake is started and all sessions end. */
  setUp(isUp: boolean, now: number): void {
    if (this.isUp === isUp) return;
    this.isUp = isUp;
    this.queue.clear();
    for (const peer of this.peers.all()) {
      if (isUp) {
        peer.timers.persistentKeepaliveChanged(now);
        this.startRotation(peer, now, false);
      } else {
        this.handshakes.abandon(peer);
        peer.timers.stop();
        peer.initiationSentAt = Number.NEGATIVE_INFINITY; // up again, it may try at once
        this.options.plane.dropStaged(peer.slot);
        this.options.plane.acceptHandshakeRequests(peer.slot);
        this.sessions.remove(peer, () => true);
      }
    }
  }

  private setPrivateKey(privateKey: Uint8Array, now: number, barrier: Barrier): void {
    const { crypto } = this.options;
    // Tools set the key with every configuration: the same one again ends no session.
    if (this.identity && constantTimeEqual(this.identity.privateKey, privateKey)) return;
    this.identity?.zeroize();
    this.identity = isZero(privateKey) ? undefined : new Identity(crypto, privateKey);
    this.handshakes.setIdentity(this.identity);
    const self = this.identity && this.peers.get(this.identity.publicKey);
    if (self !== undefined) this.removePeer(self, barrier);
    for (const peer of this.peers.all()) {
      this.handshakes.abandon(peer);
      this.sessions.remove(peer, () => true, barrier.hold());
      this.identify(peer);
      this.startRotation(peer, now, false);
    }
  }

  private identify(peer: Peer): void {
    zeroize(peer.staticStatic);
    peer.staticStatic = this.identity?.key.agree(peer.publicKey);
    peer.keypairs.isSmaller = this.identity?.isSmallerThan(peer.publicKey) ?? false;
  }

  private changePeer(change: PeerChange, now: number, barrier: Barrier): void {
    const { crypto, plane } = this.options;
    const present = this.peers.get(change.publicKey);
    if (change.remove) {
      if (present !== undefined) this.removePeer(present, barrier);
      return;
    }
    if (this.identity !== undefined && this.isOwnKey(change.publicKey)) return;
    if (present === undefined && change.updateOnly) return;
    const peer = present ?? this.peers.add(crypto, change.publicKey, () => this.randomFraction());
    if (peer === undefined) return; // checked before: there is room
    if (present === undefined) {
      plane.addPeer(peer.slot);
      this.identify(peer);
    }
    if (change.endpoint !== undefined) plane.setEndpoint(peer.slot, change.endpoint);
    if (change.replaceAllowedIps) {
      for (const [key, prefix] of peer.allowedIps) this.disallow(peer, key, prefix);
    }
    for (const { prefix, remove } of change.allowedIps ?? []) this.route(peer, prefix, remove);
    if (change.presharedKey !== undefined) {
      peer.presharedKey.set(change.presharedKey);
      this.setGeneration(peer, change.generation ?? peer.generation, present === undefined, now);
    }
    if (change.expireBefore !== undefined) {
      const before = change.expireBefore;
      this.sessions.remove(peer, (k) => k.generation < before, barrier.hold());
    }
    if (change.persistentKeepalive !== undefined) {
      const changed = peer.timers.persistentKeepalive !== change.persistentKeepalive;
      peer.timers.persistentKeepalive = change.persistentKeepalive;
      if (changed && this.isUp) peer.timers.persistentKeepaliveChanged(now);
    }
  }

  private setGeneration(peer: Peer, generation: number, isNew: boolean, now: number): void {
    const hadOlder = peer.generation < generation;
    peer.generation = generation;
    if (!hadOlder && !isNew) return;
    // The peer tried before we knew it, or was answered under the key that is now old: it will
    // find that its keypair is of no use, so do not make it wait.
    const recently = Math.min(UNKNOWN_INITIATOR_TIME, this.rotation.epoch / 6);
    const peerTried =
      this.handshakes.forgetUnknownInitiator(peer.publicKey, now) ||
      (now - peer.answeredAt < recently && peer.answeredGeneration < generation);
    this.startRotation(peer, now, peerTried);
  }

  /** A governed peer (one whose PSK has a generation) gets a session without waiting for data. */
  private startRotation(peer: Peer, now: number, peerTried: boolean): void {
    if (peer.generation === 0) return;
    const startAt = rotationStart(
      now,
      this.rotation,
      this.peers.size,
      peer.keypairs.isSmaller,
      peerTried,
      () => this.randomFraction(),
    );
    peer.rotation = new Rotation(peer.generation, startAt);
  }

  private removePeer(peer: Peer, barrier: Barrier): void {
    this.handshakes.abandon(peer);
    const releaseKeypairs = this.sessions.forget(peer);
    for (const key of peer.allowedIps.keys()) this.routes.delete(key);
    this.peers.delete(peer);
    peer.zeroize();
    const held = barrier.hold();
    this.options.plane.removePeer(peer.slot, () => {
      releaseKeypairs();
      this.peers.releaseSlot(peer.slot);
      held();
    });
  }

  private route(peer: Peer, prefix: Prefix, remove: boolean | undefined): void {
    const masked = maskPrefix(prefix);
    const key = `${masked.address.join('.')}/${masked.length}`;
    const owner = this.routes.get(key);
    if (remove) {
      if (owner === peer) this.disallow(peer, key, masked);
      return;
    }
    owner?.allowedIps.delete(key);
    peer.allowedIps.set(key, masked);
    this.routes.set(key, peer);
    this.options.plane.allow(masked, peer.slot);
  }

  private disallow(peer: Peer, key: string, prefix: Prefix): void {
    peer.allowedIps.delete(key);
    this.routes.delete(key);
    this.options.plane.disallow(prefix);
  }

  // ---- status ----

  get privateKey(): Uint8Array | undefined {
    return this.identity && copyBytes(this.identity.privateKey);
  }

  get publicKey(): Uint8Array | undefined {
    return this.identity && copyBytes(this.identity.publicKey);
  }

  peerStatus(): PeerStatus[] {
    const { plane } = this.options;
    const activity = newActivity();
    return [...this.peers.all()].map((peer) => {
      plane.activity(peer.slot, activity);
      return {
        publicKey: copyBytes(peer.publicKey),
        presharedKey: peer.hasPresharedKey ? copyBytes(peer.presharedKey) : undefined,
        endpoint: plane.getEndpoint(peer.slot),
        persistentKeepalive: peer.timers.persistentKeepalive,
        allowedIps: [...peer.allowedIps.values()],
        lastHandshakeAt: peer.lastHandshakeAt,
        txBytes: activity.txBytes,
        rxBytes: activity.rxBytes,
        generation: peer.keypairs.confirmedGeneration,
      };
    });
  }

  // ---- events ----

  /**
   * Takes a handshake message (types 1 to 3); it is acted on in the next `poll`. The message
   * belongs to the device from here on.
   */
  receive(message: Uint8Array, source: Endpoint): void {
    if (!this.isUp) this.rejects.handshakeWhileDown++;
    else if (!this.queue.push({ message, source })) this.rejects.handshakeQueueOverflow++;
  }

  /** Data path: packets wait for a session, or the session is due for renewal. */
  handshakeWanted(slot: number, now: number): void {
    const peer = this.peers.at(slot);
    if (peer === undefined) return;
    this.initiateUnlessRecent(peer, now);
  }

  /** Data path: first authenticated packet on a keypair. */
  keypairConfirmed(slot: number, now: number): void {
    const confirmed = this.sessions.confirmed(slot, now);
    if (confirmed === undefined) return;
    if (confirmed.keypair.isInitiator) return;
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
    const samples = now - this.sampledAt >= SAMPLE_INTERVAL;
    if (samples) this.sampledAt = now;
    for (const peer of this.peers.all()) {
      if (samples) this.sample(peer, now);
      this.pollPeer(peer, now);
    }
  }

  /** When to call `poll` next, at the latest. */
  nextPoll(now: number): number {
    if (this.queue.length > 0) return now;
    let next = this.peers.size > 0 ? this.sampledAt + SAMPLE_INTERVAL : NEVER;
    for (const peer of this.peers.all()) {
      next = Math.min(
        next,
        peer.timers.nextAt(),
        this.rotationDue(peer),
        peer.confirmAt[0] ?? NEVER,
        peer.unsettled?.handshakeAt ?? NEVER,
      );
      for (const keypair of peer.keypairs.all()) next = Math.min(next, keypair.rejectAt);
    }
    return next;
  }

  private pollPeer(peer: Peer, now: number): void {
    const { plane } = this.options;
    if (peer.keypairs.all().some((k) => now >= k.rejectAt)) {
      this.sessions.remove(peer, (k) => now >= k.rejectAt);
    }
    if (now >= (peer.confirmAt[0] ?? NEVER)) {
      peer.confirmAt.shift();
      plane.sendKeepalive(peer.slot);
    }
    if (now >= (peer.unsettled?.handshakeAt ?? NEVER)) {
      peer.unsettled = undefined;
      this.initiate(peer, false, now);
    }
    if (now >= this.rotationDue(peer)) {
      peer.rotation?.attempted(now);
      this.initiate(peer, false, now);
    }
    for (const action of peer.timers.due(now)) {
      switch (action) {
        case 'retransmit-initiation':
          // A rotation has its own, denser schedule.
          if (peer.rotation === undefined) this.initiate(peer, true, now);
          break;
        case 'give-up':
          this.handshakes.abandon(peer);
          plane.dropStaged(peer.slot);
          plane.acceptHandshakeRequests(peer.slot);
          break;
        case 'send-keepalive':
        case 'persistent-keepalive':
          if (peer.keypairs.sending === undefined) this.initiateUnlessRecent(peer, now);
          else plane.sendKeepalive(peer.slot);
          break;
        case 'new-handshake':
          this.initiateUnlessRecent(peer, now);
          break;
        case 'zero-keys':
          this.handshakes.abandon(peer);
          this.sessions.remove(peer, () => true);
          break;
      }
    }
  }

  /** Lets the timers know what the data path did since the last sample. */
  private sample(peer: Peer, now: number): void {
    const { plane } = this.options;
    plane.activity(peer.slot, this.sampled);
    const received = sampleActivity(peer.seen, this.sampled, peer.timers);
    const sending = peer.keypairs.sending;
    if (
      received &&
      sending?.isInitiator &&
      !peer.renewalAsked &&
      now - sending.createdAt > RENEW_ON_RECEIVE_AFTER
    ) {
      peer.renewalAsked = true;
      this.initiateUnlessRecent(peer, now);
    }
    if (received && peer.answersLeft > 0 && this.sampled.lastSentAt < this.sampled.lastReceivedAt) {
      peer.answersLeft--;
      plane.sendKeepalive(peer.slot);
    }
    // An initiation that could not be made (no endpoint, say) may be possible by now.
    if (now - peer.initiationSentAt >= REKEY_TIMEOUT) plane.acceptHandshakeRequests(peer.slot);
  }

  private initiateUnlessRecent(peer: Peer, now: number): void {
    const earliest = peer.initiationSentAt + REKEY_TIMEOUT;
    if (now >= earliest) this.initiate(peer, false, now);
    else peer.timers.initiationDeferred(now, earliest);
  }

  private initiate(peer: Peer, isRetry: boolean, now: number): void {
    if (this.isUp) this.handshakes.initiate(peer, isRetry, now);
  }

  private rotationDue(peer: Peer): number {
    const { rotation } = peer;
    if (rotation === undefined || this.identity === undefined || !this.isUp) return NEVER;
    if ((peer.keypairs.sending?.generation ?? -1) >= rotation.generation) {
      peer.rotation = undefined; // over: packets are sent on its generation
      return NEVER;
    }
    return Math.max(rotation.nextAt(), peer.initiationSentAt + MIN_INITIATION_SPACING);
  }

  private handshakeCompleted(peer: Peer, generation: number): void {
    peer.lastHandshakeAt = this.options.wallClock();
    this.options.onHandshake?.(peer.publicKey, generation);
  }

  private isOwnKey(publicKey: Uint8Array): boolean {
    return this.identity?.publicKey.every((byte, i) => byte === publicKey[i]) ?? false;
  }

  private randomFraction(): number {
    return readU32(this.options.random(4), 0) / 2 ** 32;
  }
}
