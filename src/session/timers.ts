import {
  KEEPALIVE_TIMEOUT,
  REJECT_AFTER_TIME,
  REKEY_ATTEMPT_TIME,
  REKEY_TIMEOUT,
  REKEY_TIMEOUT_JITTER,
} from './limits.ts';

const NEVER = Number.POSITIVE_INFINITY;

/** What a peer's timers ask for when they fire. */
export type TimerAction =
  /** No response came in time: initiate again (6.4). */
  | 'retransmit-initiation'
  /** REKEY_ATTEMPT_TIME is over: drop what is staged and wait for new data (6.4). */
  | 'give-up'
  /** Data was received and nothing sent in reply: tell the other side we are alive (6.5). */
  | 'send-keepalive'
  /** Data was sent and nothing came back: the session may be dead, make a new one (6.5). */
  | 'new-handshake'
  /** Keys are long useless: forget them (6.3). */
  | 'zero-keys'
  /** The configured interval has passed without a packet. */
  | 'persistent-keepalive';

/**
 * One peer's timers (paper section 6): events come in with their time, `due` tells what to do.
 * Times are ms of the monotonic clock; `random` returns [0, 1).
 */
export class Timers {
  /** Seconds, 0 = off. */
  persistentKeepalive = 0;

  private readonly random: () => number;
  private giveUpAt = NEVER;
  private needAnotherKeepalive = false;
  private retransmitAt = NEVER;
  private sendKeepaliveAt = NEVER;
  private newHandshakeAt = NEVER;
  private zeroKeysAt = NEVER;
  private persistentKeepaliveAt = NEVER;

  constructor(random: () => number) {
    this.random = random;
  }

  /** Called after an initiation was sent; a retry does not prolong the attempt. */
  initiationSent(at: number, isRetry: boolean): void {
    if (!isRetry) this.giveUpAt = at + REKEY_ATTEMPT_TIME;
    this.retransmitAt = at + REKEY_TIMEOUT + this.jitter();
  }

  /**
   * Called when a handshake was wanted although the last initiation was sent too recently. It is
   * made at `earliest` then, and REKEY_ATTEMPT_TIME starts anew, as for data that a user sends
   * during the attempts (6.4).
   */
  initiationDeferred(at: number, earliest: number): void {
    this.giveUpAt = at + REKEY_ATTEMPT_TIME;
    if (this.retransmitAt === NEVER) this.retransmitAt = earliest;
  }

  /** Called when no initiation may be sent before `earliest`; the attempt ends when it would have. */
  retransmissionDeferred(earliest: number): void {
    this.retransmitAt = earliest;
  }

  /** Called when a response was consumed, or the first packet came in on a responder's keypair. */
  handshakeComplete(): void {
    this.retransmitAt = NEVER;
  }

  /** Called when transport keys were derived, in either role. */
  sessionDerived(at: number): void {
    this.zeroKeysAt = at + 3 * REJECT_AFTER_TIME;
  }

  /** Called after a packet with inner data was sealed. */
  dataSent(at: number): void {
    if (this.newHandshakeAt === NEVER) {
      this.newHandshakeAt = at + KEEPALIVE_TIMEOUT + REKEY_TIMEOUT + this.jitter();
    }
  }

  /** Called after an authenticated packet with inner data came in. */
  dataReceived(at: number): void {
    if (this.sendKeepaliveAt === NEVER) this.sendKeepaliveAt = at + KEEPALIVE_TIMEOUT;
    else this.needAnotherKeepalive = true;
  }

  /** Called after any packet was sealed, or a handshake message sent. */
  authenticatedPacketSent(at: number): void {
    this.sendKeepaliveAt = NEVER;
    this.traversed(at);
  }

  /** Called after any authenticated packet or handshake message came in. */
  authenticatedPacketReceived(at: number): void {
    this.newHandshakeAt = NEVER;
    this.traversed(at);
  }

  /** Called when the interval was configured or the device came up. */
  persistentKeepaliveChanged(at: number): void {
    this.persistentKeepaliveAt = this.persistentKeepalive > 0 ? at : NEVER;
  }

  /** Stops everything: the peer is removed or its keys are gone. */
  stop(): void {
    this.retransmitAt = NEVER;
    this.sendKeepaliveAt = NEVER;
    this.newHandshakeAt = NEVER;
    this.zeroKeysAt = NEVER;
    this.persistentKeepaliveAt = NEVER;
    this.needAnotherKeepalive = false;
  }

  /** Disarms what has fired by `now` and returns it. */
  due(now: number): TimerAction[] {
    const actions: TimerAction[] = [];
    if (now >= this.retransmitAt) {
      this.retransmitAt = NEVER;
      if (now >= this.giveUpAt) {
        this.sendKeepaliveAt = NEVER;
        if (this.zeroKeysAt === NEVER) this.zeroKeysAt = now + 3 * REJECT_AFTER_TIME;
        actions.push('give-up');
      } else {
        actions.push('retransmit-initiation');
      }
    }
    if (now >= this.sendKeepaliveAt) {
      this.sendKeepaliveAt = this.needAnotherKeepalive ? now + KEEPALIVE_TIMEOUT : NEVER;
      this.needAnotherKeepalive = false;
      actions.push('send-keepalive');
    }
    if (now >= this.newHandshakeAt) {
      this.newHandshakeAt = NEVER;
      actions.push('new-handshake');
    }
    if (now >= this.zeroKeysAt) {
      this.zeroKeysAt = NEVER;
      actions.push('zero-keys');
    }
    if (now >= this.persistentKeepaliveAt) {
      // Sealing the keepalive arms it again; without a session a handshake is tried meanwhile.
      this.persistentKeepaliveAt = now + this.persistentKeepalive * 1000;
      actions.push('persistent-keepalive');
    }
    return actions;
  }

  /** When the next timer fires, Infinity if none is armed. */
  nextAt(): number {
    return Math.min(
      this.retransmitAt,
      this.sendKeepaliveAt,
      this.newHandshakeAt,
      this.zeroKeysAt,
      this.persistentKeepaliveAt,
    );
  }

  private traversed(at: number): void {
    if (this.persistentKeepalive > 0) {
      this.persistentKeepaliveAt = at + this.persistentKeepalive * 1000;
    }
  }

  private jitter(): number {
    return Math.floor(this.random() * REKEY_TIMEOUT_JITTER);
  }
}
