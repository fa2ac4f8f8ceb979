import { constantTimeEqual, copyBytes, isZero, zeroize } from '../crypto/bytes.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import { clampX25519 } from '../crypto/x25519-keys.ts';
import type { Endpoint } from '../wire/endpoint.ts';
import { maskPrefix, type Prefix } from '../wire/prefix.ts';
import { Barrier } from './barrier.ts';
import { isSamePlace } from './candidates.ts';
import { checkChange } from './check-change.ts';
import type { Clockwork } from './clockwork.ts';
import type { DeviceChange, PeerChange, PeerStatus } from './config.ts';
import { type DataPlane, newActivity } from './data-plane.ts';
import type { Handshakes } from './handshakes.ts';
import { Identity } from './identity.ts';
import type { Peer } from './peer.ts';
import type { PeerTable } from './peer-table.ts';
import type { EpochKeys } from './preshared-key.ts';
import type { RotationSettings } from './rotation.ts';
import type { Sessions } from './sessions.ts';
import { UNKNOWN_INITIATOR_TIME } from './unknown-initiators.ts';

export interface ConfigurationOptions {
  readonly crypto: CryptoProvider;
  readonly plane: DataPlane;
  readonly peers: PeerTable;
  readonly sessions: Sessions;
  readonly handshakes: Handshakes;
  readonly clockwork: Clockwork;
  readonly rotation: RotationSettings;
  readonly requirePsk: boolean;
  /** [0, 1). */
  readonly random: () => number;
}

/** Which key the device has, which peers, and what is routed to each of them: changed, and shown. */
export class Configuration {
  identity: Identity | undefined;

  private readonly options: ConfigurationOptions;
  /** Which peer each allowed prefix goes to: a prefix belongs to one peer at a time. */
  private readonly routes = new Map<string, Peer>();

  constructor(options: ConfigurationOptions) {
    this.options = options;
  }

  /** Checks the whole change, then applies it. See `Device.configure`. */
  apply(change: DeviceChange, now: number, done: () => void): void {
    const { peers, requirePsk } = this.options;
    const { free: freePeers, capacity: maxPeers } = peers;
    const limits = { requirePsk, freePeers, maxPeers, epoch: peers.epoch.generation };
    checkChange(change, limits, (key) => peers.get(key));
    const barrier = new Barrier(done);
    if (change.earliestTime !== undefined) {
      this.options.handshakes.dates.from(change.earliestTime, now);
    }
    if (change.privateKey !== undefined) this.setPrivateKey(change.privateKey, now, barrier);
    if (change.replacePeers) {
      for (const peer of [...peers.all()]) this.removePeer(peer, barrier);
    }
    if (change.epoch !== undefined) this.beginEpoch(change.epoch, now);
    for (const peer of change.peers ?? []) this.changePeer(peer, now, barrier);
    barrier.release();
  }

  /** What is shown of each peer. Copies: nobody can change the device through them. */
  peerStatus(): PeerStatus[] {
    const { peers, plane } = this.options;
    const activity = newActivity();
    return [...peers.all()].map((peer) => {
      plane.activity(peer.slot, activity);
      return {
        publicKey: copyBytes(peer.publicKey),
        presharedKey: peer.presharedKey.known && copyBytes(peer.presharedKey.known),
        endpoint: plane.getEndpoint(peer.slot),
        persistentKeepalive: peer.timers.persistentKeepalive,
        allowedIps: [...peer.allowedIps.values()],
        lastHandshakeAt: peer.lastHandshakeAt,
        txBytes: activity.txBytes,
        rxBytes: activity.rxBytes,
        generation: peer.keypairs.confirmedGeneration,
        isQuiet: peer.isQuiet,
      };
    });
  }

  private setPrivateKey(given: Uint8Array, now: number, barrier: Barrier): void {
    const { crypto, plane, peers, sessions, handshakes, clockwork } = this.options;
    const privateKey = isZero(given) ? undefined : clampX25519(given);
    // Tools set the key with every configuration: the same one again ends no session.
    if (this.identity && privateKey && constantTimeEqual(this.identity.privateKey, privateKey)) {
      zeroize(privateKey);
      return;
    }
    this.identity?.zeroize();
    this.identity = privateKey && new Identity(crypto, privateKey);
    zeroize(privateKey);
    handshakes.setIdentity(this.identity);
    const self = this.identity && peers.get(this.identity.publicKey);
    if (self !== undefined) this.removePeer(self, barrier);
    for (const peer of peers.all()) {
      handshakes.abandon(peer);
      sessions.remove(peer, () => true, barrier.hold());
      // To the peer this is somebody else, to whom the pause between two initiations does not apply.
      peer.initiationSentAt = Number.NEGATIVE_INFINITY;
      peer.timers.handshakeComplete();
      plane.acceptHandshakeRequests(peer.slot);
      this.identify(peer);
      clockwork.startRotation(peer, now, 'expired');
    }
  }

  private identify(peer: Peer): void {
    zeroize(peer.staticStatic);
    peer.staticStatic = this.identity?.key.agree(peer.publicKey);
    peer.keypairs.isSmaller = this.identity?.isSmallerThan(peer.publicKey) ?? false;
    this.options.clockwork.touched(peer);
  }

  private changePeer(change: PeerChange, now: number, barrier: Barrier): void {
    const { crypto, plane, peers, sessions, clockwork, random } = this.options;
    const present = peers.get(change.publicKey);
    if (change.remove) {
      if (present !== undefined) this.removePeer(present, barrier);
      return;
    }
    if (this.isOwnKey(change.publicKey)) return;
    if (present === undefined && change.updateOnly) return;
    const peer = present ?? peers.add(crypto, change.publicKey, random);
    if (peer === undefined) return; // checked before: there is room
    if (present === undefined) {
      plane.addPeer(peer.slot);
      this.identify(peer);
    }
    if (change.candidates !== undefined) peer.candidates.set(change.candidates);
    if (change.endpoint !== undefined) this.setEndpoint(peer, change.endpoint, now);
    if (change.replaceAllowedIps) {
      for (const [key, prefix] of peer.allowedIps) this.disallow(peer, key, prefix);
    }
    for (const { prefix, remove } of change.allowedIps ?? []) this.route(peer, prefix, remove);
    this.setKey(peer, change, present === undefined, now);
    if (change.expireBefore !== undefined) {
      const before = change.expireBefore;
      sessions.remove(peer, (k) => k.generation < before, barrier.hold());
    }
    if (change.persistentKeepalive !== undefined) {
      const changed = peer.timers.persistentKeepalive !== change.persistentKeepalive;
      peer.timers.persistentKeepalive = change.persistentKeepalive;
      if (changed && clockwork.isUp) peer.timers.persistentKeepaliveChanged(now);
      if (peer.isQuiet) clockwork.startRotation(peer, now, 'epoch');
    }
    clockwork.touched(peer);
  }

  private setEndpoint(peer: Peer, endpoint: Endpoint, now: number): void {
    const { plane } = this.options;
    const before = plane.getEndpoint(peer.slot);
    // Where it was heard, and may still be, is better than where it was not heard yet.
    if (before && peer.unprovenSince === undefined && peer.candidates.has(before)) return;
    if (before === undefined || !isSamePlace(before, endpoint)) peer.unprovenSince = now;
    plane.setEndpoint(peer.slot, endpoint);
  }

  /** Of all peers that have a key of the epoch only those that are in use are looked at. */
  private beginEpoch(keys: EpochKeys, now: number): void {
    const { peers, clockwork } = this.options;
    const before = peers.epoch.generation;
    peers.epoch.begin(keys);
    if (keys.generation === before) return;
    for (const peer of clockwork.peersInUse) {
      if (peer.generation !== keys.generation) continue;
      const reason = this.wasAnsweredBefore(peer, now) ? 'peerTried' : 'epoch';
      clockwork.startRotation(peer, now, reason);
    }
  }

  private setKey(peer: Peer, change: PeerChange, isNew: boolean, now: number): void {
    const { handshakes, clockwork } = this.options;
    const { presharedKey, generation = peer.generation } = change;
    const before = peer.generation;
    if (presharedKey !== undefined) peer.presharedKey.set(presharedKey, generation);
    else if (change.generation !== undefined) peer.presharedKey.follow(generation);
    else return;
    if (peer.generation === before && !isNew) return;
    // The peer tried before we knew it.
    const peerTried =
      handshakes.unknownInitiators.forget(peer.publicKey, now) || this.wasAnsweredBefore(peer, now);
    clockwork.startRotation(peer, now, peerTried ? 'peerTried' : isNew ? 'new' : 'epoch');
  }

  /**
   * The peer was answered under a key that is now old: it will find that its keypair is of no use, so it
   * is not made to wait.
   */
  private wasAnsweredBefore(peer: Peer, now: number): boolean {
    const recently = Math.min(UNKNOWN_INITIATOR_TIME, this.options.rotation.epoch / 6);
    return now - peer.answeredAt < recently && peer.answeredGeneration < peer.generation;
  }

  private removePeer(peer: Peer, barrier: Barrier): void {
    const { plane, peers, sessions, handshakes, clockwork } = this.options;
    handshakes.abandon(peer);
    const releaseKeypairs = sessions.forget(peer);
    for (const key of peer.allowedIps.keys()) this.routes.delete(key);
    peers.delete(peer);
    clockwork.forget(peer);
    peer.zeroize();
    const held = barrier.hold();
    plane.removePeer(peer.slot, () => {
      releaseKeypairs();
      peers.releaseSlot(peer.slot);
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

  private isOwnKey(publicKey: Uint8Array): boolean {
    return this.identity?.publicKey.every((byte, i) => byte === publicKey[i]) ?? false;
  }
}
