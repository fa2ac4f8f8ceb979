import { copyBytes, zeroize } from '../crypto/bytes.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import { CookieGenerator } from '../noise/cookie.ts';
import type { Initiator } from '../noise/initiator.ts';
import { type Keypair, Keypairs } from '../session/keypairs.ts';
import { Timers } from '../session/timers.ts';
import type { Prefix } from '../wire/prefix.ts';
import { TAI64N_LENGTH } from '../wire/tai64n.ts';
import { Candidates } from './candidates.ts';
import type { PeerActivity } from './data-plane.ts';
import { type DeviceEpoch, KeptPresharedKey } from './preshared-key.ts';
import type { Rotation } from './rotation.ts';

/** An initiation that waits for its response. */
export interface PendingInitiation {
  readonly localIndex: number;
  readonly noise: Initiator;
  readonly sentAt: number;
}

/** Handshake times that must outlive the peer, so that what it sent before cannot be replayed. */
export interface HandshakeMemory {
  /** Greatest TAI64N label accepted from the peer. */
  receivedTimestamp: Uint8Array;
  /** Wall-clock ns of the newest label sent to the peer. */
  sentTimestamp: bigint;
}

export const newHandshakeMemory = (): HandshakeMemory => ({
  receivedTimestamp: new Uint8Array(TAI64N_LENGTH),
  sentTimestamp: 0n,
});

/** Everything control knows of one peer. Initiator and responder state are separate. */
export class Peer {
  readonly slot: number;
  readonly publicKey: Uint8Array;
  readonly keypairs = new Keypairs();
  readonly timers: Timers;
  readonly cookies: CookieGenerator;
  readonly memory: HandshakeMemory;
  readonly candidates = new Candidates();
  readonly allowedIps = new Map<string, Prefix>();

  /** DH of both static keys; undefined without an identity or for a small-order key. */
  staticStatic: Uint8Array | undefined;
  readonly presharedKey: KeptPresharedKey;

  /**
   * Initiations that wait for a response, the newest last: where a network or a busy peer takes
   * longer than it takes to try again, every answer is to an attempt before the last.
   */
  initiations: PendingInitiation[] = [];
  rotation: Rotation | undefined;
  /** Its rotation waits for the first packet. */
  isQuiet = false;
  /** ms: when the data path last wanted a handshake; what is staged is no traffic yet. */
  wantedAt = Number.NEGATIVE_INFINITY;
  /** ms; -Infinity = never. */
  initiationSentAt = Number.NEGATIVE_INFINITY;
  initiationReceivedAt = Number.NEGATIVE_INFINITY;
  /**
   * An endpoint was configured (ms) from which the peer was never heard; undefined once it was.
   */
  unprovenSince: number | undefined;
  /** When and under which generation we last answered an initiation of this peer. */
  answeredAt = Number.NEGATIVE_INFINITY;
  answeredGeneration = 0;
  /**
   * After crossing initiations: the keypair that was initiated here, and when (ms) to make another
   * handshake if the peer, which then has not heard us for sure, was not heard on it. Once for each
   * generation.
   */
  unsettled: { readonly keypair: Keypair; readonly handshakeAt: number } | undefined;
  crossedGeneration = 0;
  /** Times at which an unconfirmed initiator's keypair gets its confirming keepalive again. */
  confirmAt: number[] = [];
  /** How often a responder in a rotation still answers the initiator's confirming keepalives. */
  answersLeft = 0;
  /** A renewal because packets still arrive late in a session was already asked for. */
  renewalAsked = false;
  /** Wall clock, ms since 1970. */
  lastHandshakeAt: number | undefined;
  /** Set once it is taken out of the device; late acknowledgements then do nothing. */
  removed = false;

  /** Activity at the last sample. */
  readonly seen: PeerActivity = {
    lastDataSentAt: 0,
    lastSentAt: 0,
    lastDataReceivedAt: 0,
    lastReceivedAt: 0,
    txBytes: 0,
    rxBytes: 0,
  };

  constructor(options: {
    crypto: CryptoProvider;
    slot: number;
    publicKey: Uint8Array;
    memory: HandshakeMemory;
    epoch: DeviceEpoch;
    random: () => number;
  }) {
    this.slot = options.slot;
    this.publicKey = copyBytes(options.publicKey);
    this.presharedKey = new KeptPresharedKey(this.publicKey, options.epoch);
    this.timers = new Timers(options.random);
    this.cookies = new CookieGenerator(options.crypto, options.publicKey);
    this.memory = options.memory;
  }

  /** Generation of `presharedKey`. */
  get generation(): number {
    return this.presharedKey.generation;
  }

  /** Zeroes every secret that control holds of this peer. */
  zeroize(): void {
    this.presharedKey.zeroize();
    zeroize(this.staticStatic);
    for (const { noise } of this.initiations) noise.zeroize();
    this.initiations = [];
    this.cookies.zeroize();
    this.timers.stop();
  }
}
