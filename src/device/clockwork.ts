import type { Keypair } from '../session/keypairs.ts';
import { KEEPALIVE_TIMEOUT, REJECT_AFTER_TIME, REKEY_TIMEOUT } from '../session/limits.ts';
import type { TimerAction } from '../session/timers.ts';
import { sampleActivity } from './activity.ts';
import { UNPROVEN_DENSE, unprovenPause } from './candidates.ts';
import { type DataPlane, newActivity, type PeerActivity } from './data-plane.ts';
import { Deadlines } from './deadlines.ts';
import type { Handshakes } from './handshakes.ts';
import type { Peer } from './peer.ts';
import type { PeerTable } from './peer-table.ts';
import {
  MIN_INITIATION_SPACING,
  QUIET_AFTER_EPOCHS,
  Rotation,
  type RotationSettings,
  rotationStart,
} from './rotation.ts';
import { type Rank, RotationWindow } from './rotation-window.ts';
import type { Sessions } from './sessions.ts';

const NEVER = Number.POSITIVE_INFINITY;
/** How often the data path's activity is looked at for the timers, ms. */
const SAMPLE_INTERVAL = 250;
/** Own tuning: above so many peers, quiet ones are looked at every so many samples. */
const FEW_PEERS = 512;
const QUIET_TURNS = 8;
/** An initiator renews when packets still come in this late in a session (paper 6.2). */
const RENEW_ON_RECEIVE_AFTER = REJECT_AFTER_TIME - KEEPALIVE_TIMEOUT - REKEY_TIMEOUT;

export interface ClockworkOptions {
  readonly plane: DataPlane;
  readonly peers: PeerTable;
  readonly sessions: Sessions;
  readonly handshakes: Handshakes;
  readonly rotation: RotationSettings;
  /** [0, 1). */
  readonly random: () => number;
}

/**
 * Why a peer is to get a new session: `epoch`, there is a new pre-shared key; `peerTried`, the same,
 * and the peer has tried by itself; `expired`, keypairs were zeroed here that the peer may go on
 * sending on; `new`, the same may be so, for they may have been lost in a restart.
 */
export type RotationReason = 'epoch' | 'peerTried' | 'expired' | 'new';

/** Something that is to be done for a peer at a certain time. */
interface Duty {
  at(peer: Peer): number;
  do(peer: Peer, now: number): void;
}

/**
 * What happens by itself, and when. Each peer's next deadline is kept in a heap, so that a message
 * for one of many peers costs nothing for the others; whoever changes what a deadline depends on
 * calls `touched`.
 */
export class Clockwork {
  /** While it is down no handshake is started. */
  isUp = true;

  private readonly options: ClockworkOptions;
  private readonly deadlines = new Deadlines<Peer>();
  /** Their deadlines are to be looked at again. */
  private readonly dirty = new Set<Peer>();
  private readonly window = new RotationWindow<Peer>();
  /** All but the quiet ones, of those with a key of an epoch: whom the next one concerns. */
  private readonly active = new Set<Peer>();
  private readonly sampled: PeerActivity = newActivity();
  private sampledAt = Number.NEGATIVE_INFINITY;
  /** Whose turn it was among the quiet: counted, for the time between two samples may be any. */
  private turn = 0;

  /** All that a peer has to wait for, in the order in which it is done when due together. */
  private readonly duties: readonly Duty[] = [
    {
      at: (peer) => peer.keypairs.firstRejectAt(),
      do: (peer, now) => this.options.sessions.remove(peer, isOver(now)),
    },
    {
      at: (peer) => peer.confirmAt[0] ?? NEVER,
      do: (peer) => {
        peer.confirmAt.shift();
        this.options.plane.sendKeepalive(peer.slot);
      },
    },
    {
      at: (peer) => peer.unsettled?.handshakeAt ?? NEVER,
      do: (peer, now) => {
        peer.unsettled = undefined;
        this.initiate(peer, false, now);
      },
    },
    { at: (peer) => this.rotationDue(peer), do: (peer) => this.window.wait(peer, rank(peer)) },
    {
      at: (peer) => peer.timers.nextAt(),
      do: (peer, now) => {
        for (const action of peer.timers.due(now)) this.act(peer, action, now);
      },
    },
  ];

  constructor(options: ClockworkOptions) {
    this.options = options;
  }

  /** Something happened that the peer's deadlines may depend on. */
  touched(peer: Peer): void {
    if (!peer.removed) this.dirty.add(peer);
  }

  /** The peer was taken out of the device. */
  forget(peer: Peer): void {
    this.dirty.delete(peer);
    this.deadlines.delete(peer);
    this.window.forget(peer);
    this.active.delete(peer);
  }

  /** Those that an epoch's beginning may ask to make a handshake. */
  get peersInUse(): Iterable<Peer> {
    return this.active;
  }

  /** Something goes on with the peer: the next epoch looks at it. */
  inUse(peer: Peer): void {
    if (!peer.removed && peer.generation > 0) this.active.add(peer);
  }

  /** The interface went down: nothing is under way any more. */
  stop(): void {
    this.isUp = false;
    this.window.clear();
  }

  /** Does everything that is due at `now`. */
  poll(now: number): void {
    if (now - this.sampledAt >= SAMPLE_INTERVAL) {
      this.sampledAt = now;
      this.sampleAll(now);
    }
    this.reschedule();
    for (const peer of this.deadlines.takeDue(now)) {
      for (const duty of this.duties) if (now >= duty.at(peer)) duty.do(peer, now);
      this.touched(peer);
    }
    for (let peer = this.window.take(now); peer !== undefined; peer = this.window.take(now)) {
      this.attemptRotation(peer, now);
    }
  }

  /** When to call `poll` next, at the latest. */
  nextPoll(): number {
    this.reschedule();
    const sample = this.options.peers.size > 0 ? this.sampledAt + SAMPLE_INTERVAL : NEVER;
    return Math.min(sample, this.deadlines.next, this.window.nextAt());
  }

  /**
   * A governed peer (one whose PSK has a generation) gets a session without waiting for data, unless
   * the pair is quiet and there is no better reason than a new epoch.
   */
  startRotation(peer: Peer, now: number, reason: RotationReason): void {
    if (peer.generation === 0) return;
    this.window.forget(peer);
    this.touched(peer);
    peer.isQuiet = reason === 'epoch' && this.isQuiet(peer, now);
    if (peer.isQuiet) {
      peer.rotation = undefined;
      this.active.delete(peer);
      return;
    }
    this.active.add(peer);
    const peerTried = reason === 'peerTried';
    const startAt = rotationStart(
      now,
      this.options.rotation,
      this.options.peers.size,
      peer.keypairs.isSmaller,
      peerTried,
      this.options.random,
    );
    peer.rotation = new Rotation(startAt, peerTried, peer.rotation?.since ?? now);
  }

  /** Packets wait for a session, or the present one is due for renewal. */
  handshakeWanted(peer: Peer, now: number): void {
    peer.wantedAt = now;
    const isBehind = (peer.keypairs.sending?.generation ?? -1) < peer.generation;
    if (peer.generation === 0 || peer.rotation !== undefined || !isBehind) {
      this.initiateUnlessRecent(peer, now);
      return;
    }
    // A packet waits: the schedule of a rotation, which is dense, and at once.
    peer.isQuiet = false;
    this.active.add(peer);
    peer.rotation = new Rotation(now, true, now);
    if (now >= this.earliestInitiation(peer, MIN_INITIATION_SPACING))
      this.attemptRotation(peer, now);
    this.touched(peer);
  }

  private isQuiet(peer: Peer, now: number): boolean {
    const { quietPairsWait, epoch } = this.options.rotation;
    if (quietPairsWait !== true || peer.timers.persistentKeepalive > 0) return false;
    const { lastDataSentAt, lastDataReceivedAt } = peer.seen;
    const last = Math.max(lastDataSentAt, lastDataReceivedAt, peer.wantedAt);
    const isLong = (since: number): boolean => now - since > QUIET_AFTER_EPOCHS * epoch;
    // A rotation that is under way has its reason, and goes on under the new key: but not for ever.
    if (peer.rotation !== undefined && !isLong(peer.rotation.since)) return false;
    return last <= 0 || isLong(last);
  }

  private attemptRotation(peer: Peer, now: number): void {
    peer.rotation?.attempted(now);
    if (this.initiate(peer, false, now)) this.window.sent(peer, now);
    this.touched(peer);
  }

  /** The peer answered an initiation. */
  answered(peer: Peer, now: number): void {
    this.window.answered(peer, now);
  }

  /** Initiates unless that was done in the last REKEY_TIMEOUT; then it is done when that is over. */
  private initiateUnlessRecent(peer: Peer, now: number): void {
    const earliest = this.earliestInitiation(peer, REKEY_TIMEOUT);
    if (now >= earliest) this.initiate(peer, false, now);
    else peer.timers.initiationDeferred(now, earliest);
    this.touched(peer);
  }

  private initiate(peer: Peer, isRetry: boolean, now: number): boolean {
    return this.isUp && this.options.handshakes.initiate(peer, isRetry, now);
  }

  private reschedule(): void {
    for (const peer of this.dirty) {
      if ((peer.keypairs.sending?.generation ?? -1) >= peer.generation) {
        peer.isQuiet = false;
        this.inUse(peer);
        peer.rotation = undefined; // over: packets are sent on its generation
        this.window.forget(peer);
      }
      let next = NEVER;
      for (const duty of this.duties) next = Math.min(next, duty.at(peer));
      this.deadlines.set(peer, next);
    }
    this.dirty.clear();
  }

  private rotationDue(peer: Peer): number {
    const { rotation } = peer;
    if (rotation === undefined || !this.isUp || !this.options.handshakes.hasIdentity) return NEVER;
    if (this.window.isWaiting(peer)) return NEVER;
    const pause = this.window.isUnderWay(peer) ? this.window.patience : MIN_INITIATION_SPACING;
    return Math.max(rotation.nextAt(), this.earliestInitiation(peer, pause));
  }

  private act(peer: Peer, action: TimerAction, now: number): void {
    const { plane, handshakes, sessions } = this.options;
    switch (action) {
      case 'retransmit-initiation':
        // A rotation has its own, denser schedule.
        if (peer.rotation === undefined) this.retransmit(peer, now);
        break;
      case 'give-up':
        handshakes.abandon(peer);
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
        handshakes.abandon(peer);
        sessions.remove(peer, () => true);
        break;
    }
  }

  private retransmit(peer: Peer, now: number): void {
    const earliest = this.earliestInitiation(peer, 0);
    if (now >= earliest) this.initiate(peer, true, now);
    else peer.timers.retransmissionDeferred(earliest);
  }

  /**
   * The next initiation to a peer is sent no earlier. In a governed mesh endpoints are what other
   * members claim; one that proves to be nothing must not be pestered for ever.
   */
  private earliestInitiation(peer: Peer, pause: number): number {
    const tried = peer.initiationSentAt - (peer.unprovenSince ?? Number.POSITIVE_INFINITY);
    const isDoubtful = peer.generation > 0 && tried >= UNPROVEN_DENSE;
    const longPause = unprovenPause(this.options.rotation.epoch);
    return peer.initiationSentAt + (isDoubtful ? Math.max(pause, longPause) : pause);
  }

  /** Of many peers the quiet ones have their turns: nothing goes on with them that could not wait for that. */
  private sampleAll(now: number): void {
    const { peers } = this.options;
    const turns = peers.size > FEW_PEERS ? QUIET_TURNS : 1;
    const turn = turns === 1 ? 0 : this.turn++ % turns;
    let quiet = 0;
    for (const peer of peers.all()) {
      if (!peer.isQuiet || quiet++ % turns === turn) this.sample(peer, now);
    }
  }

  /** Lets the timers know what the data path did since the last sample. */
  private sample(peer: Peer, now: number): void {
    const { plane } = this.options;
    // An initiation that could not be made (no endpoint, say) may be possible by now.
    if (now - peer.initiationSentAt >= REKEY_TIMEOUT) plane.acceptHandshakeRequests(peer.slot);
    plane.activity(peer.slot, this.sampled);
    const { lastSentAt, lastReceivedAt } = this.sampled;
    const isIdle =
      lastSentAt === peer.seen.lastSentAt && lastReceivedAt === peer.seen.lastReceivedAt;
    if (isIdle) return;
    const hadData = dataAt(peer.seen);
    const received = sampleActivity(peer.seen, this.sampled, peer.timers);
    this.touched(peer);
    if (received) peer.unprovenSince = undefined;
    if (peer.isQuiet && dataAt(peer.seen) > hadData) this.startRotation(peer, now, 'epoch');
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
    if (received && peer.answersLeft > 0 && lastSentAt < lastReceivedAt) {
      peer.answersLeft--;
      plane.sendKeepalive(peer.slot);
    }
  }
}

const dataAt = ({ lastDataSentAt, lastDataReceivedAt }: PeerActivity): number =>
  Math.max(lastDataSentAt, lastDataReceivedAt);

const isOver =
  (now: number) =>
  (keypair: Keypair): boolean =>
    now >= keypair.rejectAt;

/** Those that wait for us go first, then those that we have a session with. */
function rank({ rotation, keypairs }: Peer): Rank {
  if (rotation?.isFirstAttempt !== true) return 2;
  if (rotation.peerTried) return 0;
  return keypairs.sending === undefined ? 2 : 1;
}
