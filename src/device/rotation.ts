import { REKEY_TIMEOUT } from '../session/limits.ts';

/** Own tuning (docs/PROTOCOL.md): attempts after the start of a rotation, ms; then every REKEY_TIMEOUT. */
const ATTEMPT_OFFSETS = [0, 500, 1000, 2000, 4000];
/** Initiations to one peer are never closer together than this: the responder's guard is 20 ms. */
export const MIN_INITIATION_SPACING = 40;
/** Start jitter per peer of the mesh, so that a rotation is no flood of handshakes. */
const JITTER_PER_PEER = 20;
/** The side that waits for the other one starts by itself after at most this. */
const MAX_YIELD = 500;

/**
 * Own tuning, ms: after initiations crossed, this side makes another handshake unless it was heard. The
 * official implementation acts on messages in several threads, and one that answers an initiation
 * while it takes in a response may mix the two up: it then sends on keys on which it hears nothing,
 * until 15 s of silence make it try again.
 */
const HANDSHAKE_AFTER_CROSSING = { smaller: 500, larger: 1000 };

/** When to make sure of a peer with which initiations crossed at `now`. */
export function afterCrossing(now: number, isSmaller: boolean): number {
  return now + HANDSHAKE_AFTER_CROSSING[isSmaller ? 'smaller' : 'larger'];
}

export interface RotationSettings {
  /** ms that superseded keypairs are still received on. */
  readonly grace: number;
  /** ms of an epoch. */
  readonly epoch: number;
  /**
   * A pair without traffic in the last two epochs gets no new session at an epoch's beginning, but
   * with its first packet. A persistent keepalive counts as traffic. Default false.
   */
  readonly quietPairsWait?: boolean;
}

/** Own tuning: a pair is quiet after so many epochs without a packet. */
export const QUIET_AFTER_EPOCHS = 2;

/** What a governed mesh uses unless told otherwise: epochs of a minute, 20 s of grace. */
export const DEFAULT_ROTATION: RotationSettings = { grace: 20_000, epoch: 60_000 };

/**
 * Schedule of the initiations that move one peer to a new generation. Exempt from REKEY_TIMEOUT:
 * a fresh pre-shared key takes effect only through a handshake, and soon.
 */
export class Rotation {
  /** The peer has tried by itself and waits for us. */
  readonly peerTried: boolean;
  /** ms: when it began, under whichever key. */
  readonly since: number;
  private readonly startAt: number;
  private attempt = 0;

  constructor(startAt: number, peerTried: boolean, since: number) {
    this.startAt = startAt;
    this.peerTried = peerTried;
    this.since = since;
  }

  get isFirstAttempt(): boolean {
    return this.attempt === 0;
  }

  nextAt(): number {
    const offset = ATTEMPT_OFFSETS[this.attempt];
    if (offset !== undefined) return this.startAt + offset;
    const last = ATTEMPT_OFFSETS.length - 1;
    return this.startAt + ATTEMPT_OFFSETS[last]! + (this.attempt - last) * REKEY_TIMEOUT;
  }

  /** Called after an attempt was made at `now`; attempts that were due before it are skipped. */
  attempted(now: number): void {
    do this.attempt++;
    while (this.nextAt() <= now);
  }
}

/**
 * When this side starts. The smaller static public key goes first, the other one yields; it does
 * not if it has reason to believe that the peer already tried (`peerTried`).
 */
export function rotationStart(
  now: number,
  settings: RotationSettings,
  peers: number,
  goesFirst: boolean,
  peerTried: boolean,
  random: () => number,
): number {
  if (peerTried) return now;
  const jitter = random() * Math.min(settings.grace / 4, peers * JITTER_PER_PEER);
  const yields = goesFirst ? 0 : Math.min(MAX_YIELD, settings.epoch / 30);
  return now + jitter + yields;
}
