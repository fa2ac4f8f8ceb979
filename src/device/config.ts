import type { Endpoint } from '../wire/endpoint.ts';
import type { Prefix } from '../wire/prefix.ts';
import type { EpochKeys, PresharedKey } from './preshared-key.ts';

/** A change to one peer. Absent fields stay as they are. Applied as one operation. */
export interface PeerChange {
  /** X25519 public key, 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly remove?: boolean;
  /** Changes the peer only if it exists already. */
  readonly updateOnly?: boolean;
  /** 32 bytes; all zero clears it (as in WireGuard's own configuration protocol). */
  readonly presharedKey?: PresharedKey;
  /**
   * Generation (epoch) of `presharedKey`; keypairs made with it carry this number. Default: as before, 0 for
   * a new peer. Without `presharedKey` the key is that which the device's epoch has for the peer.
   */
  readonly generation?: number;
  /** Keypairs of an older generation are zeroed at once (the peer was out in between). */
  readonly expireBefore?: number;
  readonly endpoint?: Endpoint;
  /**
   * All places where it may be, in the order in which they are tried, `endpoint` among them. Empty: it
   * has but one. The peer is sent to where it was heard last, whichever that is.
   */
  readonly candidates?: readonly Endpoint[];
  /** Seconds 1..65535, 0 = off. */
  readonly persistentKeepalive?: number;
  readonly replaceAllowedIps?: boolean;
  readonly allowedIps?: readonly AllowedIpChange[];
}

/** The largest that each number of a change may be; none is below 0. */
export const LARGEST = {
  peer: {
    generation: Number.MAX_SAFE_INTEGER,
    expireBefore: Number.MAX_SAFE_INTEGER,
    persistentKeepalive: 0xffff,
  },
  epoch: { generation: Number.MAX_SAFE_INTEGER },
  device: {
    listenPort: 0xffff,
    fwmark: 0xffff_ffff,
    /** End of the year 9999. */
    earliestTime: 253_402_300_799_999,
  },
} as const;

export interface AllowedIpChange {
  readonly prefix: Prefix;
  readonly remove?: boolean;
}

/** A change to the device: everything in it is checked before anything is applied. */
export interface DeviceChange {
  /** 32 bytes; all zero removes the identity and stops handshakes. */
  readonly privateKey?: Uint8Array;
  /** UDP port, 0 = any. */
  readonly listenPort?: number;
  /** SO_MARK, 0 = none. */
  readonly fwmark?: number;
  /**
   * Wall clock, ms since 1970. Handshakes are dated no earlier, as time goes on from now: a peer
   * refuses any that is not later than the last one it saw, also if this machine's clock is behind.
   * It never goes back.
   */
  readonly earliestTime?: number;
  readonly replacePeers?: boolean;
  /**
   * An epoch begins: all peers whose key has a generation, none of them later, get the key that it has for
   * them. What they had before is zeroed. Not before the one that the device is in.
   */
  readonly epoch?: EpochKeys;
  readonly peers?: readonly PeerChange[];
}

export interface PeerStatus {
  readonly publicKey: Uint8Array;
  /** Undefined if none is set, or none was worked out yet. Secret. */
  readonly presharedKey: Uint8Array | undefined;
  readonly endpoint: Endpoint | undefined;
  readonly persistentKeepalive: number;
  readonly allowedIps: readonly Prefix[];
  /** Wall clock, ms since 1970; undefined before the first handshake. */
  readonly lastHandshakeAt: number | undefined;
  readonly txBytes: number;
  readonly rxBytes: number;
  /**
   * Newest generation of a keypair that the peer was heard on: both sides have it, so packets that
   * are sent from now on arrive. Undefined without one.
   */
  readonly generation: number | undefined;
  /**
   * There is a newer generation, but no traffic: the handshake waits for the first packet
   * (`RotationSettings.quietPairsWait`). Absent where the device cannot tell.
   */
  readonly isQuiet?: boolean;
}

export interface DeviceStatus {
  /** Undefined without an identity. Secret. */
  readonly privateKey: Uint8Array | undefined;
  readonly publicKey: Uint8Array | undefined;
  readonly listenPort: number;
  readonly fwmark: number;
  readonly peers: readonly PeerStatus[];
  /** Dropped packets and rejected messages by reason. */
  readonly drops: Readonly<Record<string, number>>;
  /**
   * Wall clock, ms since 1970: the latest date on a handshake message so far, to be kept over a
   * restart (`DeviceChange.earliestTime`). Absent where nothing was sent or nobody can tell.
   */
  readonly handshakesDatedUntil?: number | undefined;
}
