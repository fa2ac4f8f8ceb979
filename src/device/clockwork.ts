import type { Keypair } from '../session/keypairs.ts';
import { KEEPALIVE_TIMEOUT, REJECT_AFTER_TIME, REKEY_TIMEOUT } from '../session/limits.ts';
import type { TimerAction } from '../session/timers.ts';
import { sampleActivity } from './activity.ts';
import { type DataPlane, newActivity, type PeerActivity } from './data-plane.ts';
import { Deadlines } from './deadlines.ts';
import type { Handshakes } from './handshakes.ts';
import type { Peer } from './peer.ts';
import type { PeerTable } from './peer-table.ts';
import {
  MIN_INITIATION_SPACING,
  Rotation,
  type RotationSettings,
  rotationStart,
} from './rotation.ts';
import { type Rank, RotationWindow } from './rotation-window.ts';
import type { Sessions } from './sessions.ts';

const NEVER = Number.POSITIVE_INFINITY;
/** How often the data path's activity is looked at for the timers, ms. */
const SAMPLE_INTERVAL = 250;
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
  private readonly sampled: PeerActivity = newActivity();
  private sampledAt = Number.NEGATIVE_INFINITY;

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
      for (const peer of this.options.peers.all()) this.sample(peer, now);
    }
    this.reschedule();
    for (const peer of this.deadlines.takeDue(now)) {
      for (const duty of this.duties) if (now >= duty.at(peer)) duty.do(peer, now);
      this.touched(peer);
    }
    for (let peer = this.window.take(now); peer !== undefined; peer = this.window.take(now)) {
      peer.rotation?.attempted(now);
      if (this.initiate(peer, false, now)) this.window.sent(peer, now);
      this.touched(peer);
    }
  }

  /** When to call `poll` next, at the latest. */
  nextPoll(): number {
    this.reschedule();
    const sample = this.options.peers.size > 0 ? this.sampledAt + SAMPLE_INTERVAL : NEVER;
    return Math.min(sample, this.deadlines.next, this.window.nextAt());
  }

  /** A governed peer (one whose PSK has a generation) gets a session without waiting for data. */
  startRotation(peer: Peer, now: number, peerTried: boolean): void {
    if (peer.generation === 0) return;
    const startAt = rotationStart(
      now,
      this.options.rotation,
      this.options.peers.size,
      peer.keypairs.isSmaller,
      peerTried,
      this.options.random,
    );
    this.window.forget(peer);
    peer.rotation = new Rotation(peer.generation, startAt, peerTried);
    this.touched(peer);
  }

  /** The peer answered an initiation. */
  answered(peer: Peer, now: number): void {
    this.window.answered(peer, now);
  }

  /** Initiates unless that was done in the last REKEY_TIMEOUT; then it is done when that is over. */
  initiateUnlessRecent(peer: Peer, now: number): void {
    const earliest = peer.initiationSentAt + REKEY_TIMEOUT;
    if (now >= earliest) this.initiate(peer, false, now);
    else peer.timers.initiationDeferred(now, earliest);
    this.touched(peer);
  }

  private initiate(peer: Peer, isRetry: boolean, now: number): boolean {
    return this.isUp && this.options.handshakes.initiate(peer, isRetry, now);
  }

  private reschedule(): void {
    for (const peer of this.dirty) {
      if ((peer.keypairs.sending?.generation ?? -1) >= (peer.rotation?.generation ?? NEVER)) {
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
    const spacing = this.window.isUnderWay(peer) ? this.window.patience : MIN_INITIATION_SPACING;
    return Math.max(rotation.nextAt(), peer.initiationSentAt + spacing);
  }

  private act(peer: Peer, action: TimerAction, now: number): void {
    const { plane, handshakes, sessions } = this.options;
    switch (action) {
      case 'retransmit-initiation':
        // A rotation has its own, denser schedule.
        if (peer.rotation === undefined) this.initiate(peer, true, now);
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
    const received = sampleActivity(peer.seen, this.sampled, peer.timers);
    this.touched(peer);
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
