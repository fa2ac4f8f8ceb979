import { zeroize } from '../crypto/bytes.ts';
import type { CryptoProvider, RandomBytes } from '../crypto/provider.ts';
import { CookieChecker, cookieSource } from '../noise/cookie.ts';
import { Initiator } from '../noise/initiator.ts';
import { Responder } from '../noise/responder.ts';
import { MAX_PENDING_INITIATIONS } from '../session/limits.ts';
import { acceptableEndpoint, arrivedFrom, type LocalFacts } from '../wire/acceptable-endpoint.ts';
import { parseCookieReply } from '../wire/cookie-reply.ts';
import { type Endpoint, withoutSource } from '../wire/endpoint.ts';
import { encodeInitiation, INITIATION, parseInitiation } from '../wire/initiation.ts';
import { MESSAGE_TYPE, messageType, readU32 } from '../wire/message-type.ts';
import { encodeResponse, parseResponse } from '../wire/response.ts';
import { isAfterTai64n } from '../wire/tai64n.ts';
import { isSamePlace } from './candidates.ts';
import type { DataPlane } from './data-plane.ts';
import { HandshakeDates } from './handshake-dates.ts';
import type { HandshakeLoad } from './handshake-load.ts';
import type { Identity } from './identity.ts';
import type { Peer, PendingInitiation } from './peer.ts';
import type { PeerTable } from './peer-table.ts';
import { RateLimiter } from './rate-limiter.ts';
import type { ReceiverIndexes } from './receiver-indexes.ts';
import type { RejectReason } from './rejects.ts';
import type { IndexEntry, Sessions } from './sessions.ts';
import { UnknownInitiators } from './unknown-initiators.ts';

/** At most one initiation per peer in this time is answered, as in the official implementations. */
const INITIATION_SPACING = 20;

const NOTHING = new Uint8Array(0);
const NO_KEY = new Uint8Array(32);

/** Everything that opens the session of one handshake. Views, valid during the call. */
export interface HandshakeSecrets {
  readonly privateKey: Uint8Array;
  readonly peerPublicKey: Uint8Array;
  /** The own ephemeral private key. */
  readonly ephemeral: Uint8Array;
  /** All zero: none. */
  readonly presharedKey: Uint8Array;
}

export interface HandshakesOptions {
  readonly crypto: CryptoProvider;
  readonly random: RandomBytes;
  readonly plane: DataPlane;
  readonly peers: PeerTable;
  readonly indexes: ReceiverIndexes<IndexEntry>;
  readonly sessions: Sessions;
  readonly requirePsk: boolean;
  readonly load: HandshakeLoad | undefined;
  readonly local: LocalFacts;
  /** ms between tries of a place that never answered. */
  readonly unprovenPause: number;
  /** Wall clock, ms since 1970. */
  readonly wallClock: () => number;
  readonly send: (message: Uint8Array, endpoint: Endpoint) => void;
  /** What the peer has to wait for may have changed. */
  readonly touched: (peer: Peer) => void;
  /** The peer answered an initiation. */
  readonly answered: (peer: Peer, now: number) => void;
  /** An initiation of the peer was answered. */
  readonly inUse: (peer: Peer) => void;
  readonly completed: (peer: Peer, generation: number) => void;
  readonly reject: (reason: RejectReason) => void;
  /** For debugging: told the secrets of every handshake. */
  readonly keyLog: ((secrets: HandshakeSecrets) => void) | undefined;
}

/** Makes and consumes handshake messages. A rejected message has changed nothing (but see `noteTimestamp`). */
export class Handshakes {
  private readonly options: HandshakesOptions;
  private readonly rateLimiter = new RateLimiter();
  readonly dates: HandshakeDates;
  readonly unknownInitiators = new UnknownInitiators();
  private identity: Identity | undefined;
  private checker: CookieChecker | undefined;

  constructor(options: HandshakesOptions) {
    this.options = options;
    this.dates = new HandshakeDates(options.wallClock);
  }

  setIdentity(identity: Identity | undefined): void {
    const { crypto, random } = this.options;
    this.identity = identity;
    this.checker = identity && new CookieChecker(crypto, identity.publicKey, random);
  }

  get hasIdentity(): boolean {
    return this.identity !== undefined;
  }

  /**
   * Sends an initiation (paper 5.4.2). False if that is not possible now: no identity, no
   * endpoint or none that anything may be sent to, no pre-shared key where one is required.
   */
  initiate(peer: Peer, isRetry: boolean, now: number): boolean {
    const { crypto, random, plane, indexes, send, requirePsk } = this.options;
    // Without an answer so far: the way that belongs to the source address may be gone.
    if (peer.initiations.length > 0) this.forgetSource(peer);
    const endpoint = plane.getEndpoint(peer.slot);
    if (this.identity === undefined || peer.staticStatic === undefined) return false;
    if (endpoint === undefined || (requirePsk && !peer.presharedKey.isSet)) return false;
    const places = this.placesOf(peer, endpoint, now);
    if (places.length === 0) {
      this.options.reject('endpointUnacceptable');
      return false;
    }
    const ephemeralPrivate = random(32);
    const noise = new Initiator({
      crypto,
      localStatic: this.identity.key,
      remoteStatic: peer.publicKey,
      staticStatic: peer.staticStatic,
      ephemeral: crypto.x25519PrivateKey(ephemeralPrivate),
    });
    this.logKeys(peer, ephemeralPrivate);
    zeroize(ephemeralPrivate);
    const first = noise.writeMessage(this.dates.next(peer.memory, now));
    if (first === undefined) return false;
    while (peer.initiations.length >= MAX_PENDING_INITIATIONS) {
      this.giveUp(peer.initiations.shift()!);
    }
    // From here on packets may ask again: each new one prolongs the attempt (paper 6.4).
    plane.acceptHandshakeRequests(peer.slot);
    const localIndex = indexes.add({ peer });
    peer.initiations.push({ localIndex, noise, sentAt: now });
    const message = encodeInitiation({
      sender: localIndex,
      ephemeral: first.ephemeral,
      encryptedStatic: first.encryptedStatic,
      encryptedTimestamp: first.payload,
    });
    peer.cookies.addMacs(message, now);
    peer.initiationSentAt = now;
    peer.timers.authenticatedPacketSent(now);
    peer.timers.initiationSent(now, isRetry);
    this.options.touched(peer);
    plane.addTraffic(peer.slot, message.length * places.length, 0);
    for (const place of places) send(message, place);
    return true;
  }

  /**
   * Where an initiation goes: to the endpoint, and where the peer does not answer any more, to one of the
   * other places where it may be as well. Before it was heard at all, to one of them all in turn.
   */
  private placesOf(peer: Peer, endpoint: Endpoint, now: number): readonly Endpoint[] {
    const { local, unprovenPause } = this.options;
    const mayTry = (place: Endpoint) => acceptableEndpoint(place, local);
    if (peer.candidates.size > 0 && peer.unprovenSince !== undefined) {
      const place = peer.candidates.next(now, unprovenPause, mayTry);
      return place === undefined ? [] : [place];
    }
    const another = (place: Endpoint) => !isSamePlace(place, endpoint) && mayTry(place);
    const isUnanswered = peer.initiations.length > 0;
    const other = isUnanswered ? peer.candidates.next(now, unprovenPause, another) : undefined;
    return [mayTry(endpoint) ? endpoint : undefined, other].filter((one) => one !== undefined);
  }

  /** Lets the system choose the local address that is sent from to the peer. */
  forgetSource(peer: Peer): void {
    const { plane } = this.options;
    const endpoint = plane.getEndpoint(peer.slot);
    if (endpoint?.source !== undefined) plane.setEndpoint(peer.slot, withoutSource(endpoint));
  }

  private logKeys({ publicKey, presharedKey }: Peer, ephemeral: Uint8Array): void {
    const { keyLog } = this.options;
    if (keyLog === undefined || this.identity === undefined) return;
    const { privateKey } = this.identity;
    keyLog({
      privateKey,
      peerPublicKey: publicKey,
      ephemeral,
      presharedKey: presharedKey.use() ?? NO_KEY,
    });
  }

  /** Gives up the initiations that wait for a response. */
  abandon(peer: Peer): void {
    for (const initiation of peer.initiations.splice(0)) this.giveUp(initiation);
  }

  private giveUp({ localIndex, noise }: PendingInitiation): void {
    this.options.indexes.delete(localIndex);
    noise.zeroize();
  }

  /** Acts on one handshake message. `queueLong`: too many of them are waiting. */
  receive(message: Uint8Array, source: Endpoint, queueLong: boolean, now: number): void {
    const reason = this.consume(message, source, queueLong, now);
    if (reason !== undefined) this.options.reject(reason);
  }

  private consume(
    message: Uint8Array,
    source: Endpoint,
    queueLong: boolean,
    now: number,
  ): RejectReason | undefined {
    const type = messageType(message);
    if (type === MESSAGE_TYPE.cookieReply) return this.consumeCookieReply(message, now);
    if (this.identity === undefined || this.checker === undefined) return 'handshakeNoIdentity';
    const isInitiation = type === MESSAGE_TYPE.initiation;
    const parsed = isInitiation ? parseInitiation(message) : parseResponse(message);
    if (parsed === undefined) return 'handshakeMalformed';
    if (!this.checker.hasValidMac1(message)) return 'mac1Invalid';
    const rateHigh = this.options.load?.count(now) ?? false;
    const isUnderLoad = queueLong || rateHigh;
    // What follows from the message would be sent there. A response only confirms what was asked
    // for: it is taken in, and the endpoint stays.
    if ((isInitiation || isUnderLoad) && !this.mayAnswer(source)) return 'endpointUnacceptable';
    if (isUnderLoad) {
      const sender = cookieSource(source.address, source.port);
      if (!this.checker.hasValidMac2(message, sender, now)) {
        const sentBy = readU32(message, INITIATION.sender); // same place in both messages
        this.options.send(this.checker.createReply(message, sentBy, sender, now), source);
        return 'underLoadCookieSent';
      }
      if (!this.rateLimiter.allow(source.address, now)) return 'rateLimited';
    }
    return isInitiation
      ? this.consumeInitiation(this.identity, message, source, now)
      : this.consumeResponse(message, source, now);
  }

  private consumeInitiation(
    identity: Identity,
    message: Uint8Array,
    source: Endpoint,
    now: number,
  ): RejectReason | undefined {
    const { crypto, peers, plane, requirePsk, sessions } = this.options;
    const initiation = parseInitiation(message)!;
    const noise = new Responder({ crypto, localStatic: identity.key });
    const remoteStatic = noise.readStatic(initiation.ephemeral, initiation.encryptedStatic);
    if (remoteStatic === undefined) return 'staticUndecryptable';
    const peer = peers.get(remoteStatic);
    if (peer?.staticStatic === undefined) {
      this.unknownInitiators.remember(remoteStatic, now);
      this.noteTimestamp(identity, noise, remoteStatic, initiation.encryptedTimestamp);
      return 'initiatorUnknown';
    }
    const timestamp = noise.readPayload(initiation.encryptedTimestamp, peer.staticStatic);
    if (timestamp === undefined) return 'timestampUndecryptable';
    if (!isAfterTai64n(timestamp, peer.memory.receivedTimestamp)) return 'timestampReplayed';
    if (now - peer.initiationReceivedAt < INITIATION_SPACING) return 'initiationFlood';
    if (requirePsk && !peer.presharedKey.isSet) return 'presharedKeyMissing';
    const presharedKey = peer.presharedKey.use();
    if (presharedKey === undefined) return 'presharedKeyMissing';
    if (!sessions.hasRoom) return 'keypairTableFull';

    peer.memory.receivedTimestamp.set(timestamp);
    peer.initiationReceivedAt = now;
    peer.unprovenSince = undefined;
    peer.candidates.heardFrom(source);
    this.options.touched(peer);
    plane.setEndpoint(peer.slot, source);
    plane.addTraffic(peer.slot, 0, message.length);
    peer.timers.authenticatedPacketReceived(now);
    this.respond(peer, noise, presharedKey, initiation.sender, source, now);
    return undefined;
  }

  /** What a removed peer sends while it is out cannot be replayed either once it is in again. */
  private noteTimestamp(
    identity: Identity,
    noise: Responder,
    remoteStatic: Uint8Array,
    encryptedTimestamp: Uint8Array,
  ): void {
    const memory = this.options.peers.memoryOfRemoved(remoteStatic);
    const staticStatic = memory && identity.key.agree(remoteStatic);
    if (memory === undefined || staticStatic === undefined) return;
    const timestamp = noise.readPayload(encryptedTimestamp, staticStatic);
    zeroize(staticStatic);
    if (timestamp !== undefined && isAfterTai64n(timestamp, memory.receivedTimestamp)) {
      memory.receivedTimestamp.set(timestamp);
    }
  }

  /** Paper 5.4.3. The response leaves only once the data path receives on the new keypair. */
  private respond(
    peer: Peer,
    noise: Responder,
    presharedKey: Uint8Array,
    remoteIndex: number,
    endpoint: Endpoint,
    now: number,
  ): void {
    const { crypto, random, plane, indexes, sessions, send, inUse } = this.options;
    const ephemeralPrivate = random(32);
    const ephemeral = crypto.x25519PrivateKey(ephemeralPrivate);
    this.logKeys(peer, ephemeralPrivate);
    zeroize(ephemeralPrivate);
    const second = noise.writeMessage(ephemeral, NOTHING, presharedKey);
    ephemeral.zeroize();
    if (second === undefined) return;
    const localIndex = indexes.add({ peer });
    const message = encodeResponse({
      sender: localIndex,
      receiver: remoteIndex,
      ephemeral: second.ephemeral,
      encryptedNothing: second.payload,
    });
    peer.cookies.addMacs(message, now);
    peer.answeredAt = now;
    peer.answeredGeneration = peer.generation;
    inUse(peer);
    const session = { localIndex, remoteIndex, initiation: undefined, now };
    sessions.install(peer, second.keys, session, () => {
      peer.timers.authenticatedPacketSent(now);
      plane.addTraffic(peer.slot, message.length, 0);
      send(message, endpoint);
    });
  }

  private consumeResponse(
    message: Uint8Array,
    source: Endpoint,
    now: number,
  ): RejectReason | undefined {
    const { plane, indexes, sessions, touched, answered, completed } = this.options;
    const response = parseResponse(message)!;
    const peer = indexes.get(response.receiver)?.peer;
    const initiation = peer?.initiations.find((one) => one.localIndex === response.receiver);
    if (peer === undefined || initiation === undefined) return 'responseReceiverUnknown';
    if (!sessions.hasRoom) return 'keypairTableFull';
    const presharedKey = peer.presharedKey.use();
    if (presharedKey === undefined) return 'presharedKeyMissing';
    const second = initiation.noise.readMessage(
      response.ephemeral,
      response.encryptedNothing,
      presharedKey,
    );
    if (second === undefined) return 'responseUnauthenticated';

    initiation.noise.zeroize();
    // Its index goes on as the keypair's; the other attempts are superfluous.
    peer.initiations.splice(peer.initiations.indexOf(initiation), 1);
    this.abandon(peer);
    if (this.mayAnswer(source)) plane.setEndpoint(peer.slot, source);
    peer.unprovenSince = undefined;
    peer.candidates.heardFrom(source);
    plane.addTraffic(peer.slot, 0, message.length);
    peer.timers.authenticatedPacketReceived(now);
    peer.timers.handshakeComplete();
    touched(peer);
    answered(peer, now);
    const session = {
      localIndex: response.receiver,
      remoteIndex: response.sender,
      initiation,
      now,
    };
    sessions.install(peer, second.keys, session, (keypair) => {
      sessions.initiatorReady(peer, keypair, now);
    });
    completed(peer, peer.generation);
    return undefined;
  }

  /** Whether something may be sent to where a message came from. */
  private mayAnswer(source: Endpoint): boolean {
    return acceptableEndpoint(source, arrivedFrom(source, this.options.local));
  }

  private consumeCookieReply(message: Uint8Array, now: number): RejectReason | undefined {
    const reply = parseCookieReply(message);
    if (reply === undefined) return 'handshakeMalformed';
    const peer = this.options.indexes.get(reply.receiver)?.peer;
    if (peer === undefined) return 'cookieReplyReceiverUnknown';
    return peer.cookies.consumeReply(reply, now) ? undefined : 'cookieReplyInvalid';
  }
}
