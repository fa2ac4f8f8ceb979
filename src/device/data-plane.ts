import type { Endpoint } from '../wire/endpoint.ts';
import type { Prefix } from '../wire/prefix.ts';

/** No keypair slot. */
export const NO_KEYPAIR = -1;

/** What control hands to the data path when a handshake has derived transport keys. */
export interface NewKeypair {
  /** Free slot chosen by control. */
  readonly slot: number;
  readonly peer: number;
  readonly sendKey: Uint8Array;
  readonly receiveKey: Uint8Array;
  readonly localIndex: number;
  readonly remoteIndex: number;
  /** ms, monotonic. */
  readonly rejectAt: number;
  readonly rekeyAt: number;
  /** Packets are to be sent on it as soon as the peer was heard on it, even before control says so. */
  readonly sendWhenHeard: boolean;
}

/** Times (ms, monotonic, 0 = never) that drive the timers of section 6; sampled, not pushed. */
export interface PeerActivity {
  lastDataSentAt: number;
  lastSentAt: number;
  lastDataReceivedAt: number;
  lastReceivedAt: number;
  txBytes: number;
  rxBytes: number;
}

export function newActivity(): PeerActivity {
  return {
    lastDataSentAt: 0,
    lastSentAt: 0,
    lastDataReceivedAt: 0,
    lastReceivedAt: 0,
    txBytes: 0,
    rxBytes: 0,
  };
}

/**
 * The data path as control sees it. Peers and keypairs are slots (small integers that control
 * allocates). Two implementations: in the same thread (acknowledges before it returns) and two
 * worker threads. `done` is called once every data thread has carried the change out; only then
 * may a slot be reused, a response message be sent, or a key be called removed.
 */
export interface DataPlane {
  addPeer(peer: number): void;
  /** Drops its allowed-ips, keypairs (zeroed), staged packets and endpoint. */
  removePeer(peer: number, done: () => void): void;
  /** Undefined clears it. Data received later moves it again (roaming). */
  setEndpoint(peer: number, endpoint: Endpoint | undefined): void;
  getEndpoint(peer: number): Endpoint | undefined;

  /** Routes `prefix` to `peer`, taking it away from whichever peer had it. */
  allow(prefix: Prefix, peer: number): void;
  disallow(prefix: Prefix): void;

  /** Writes the slot and makes its receiver index known; it is not yet sent on. */
  installKeypair(keypair: NewKeypair, done: () => void): void;
  /**
   * Sends `peer`'s packets on `slot` from now on and flushes what is staged; with `confirm`, a
   * keepalive is sent if nothing was staged. NONE (-1) stops sending: packets are staged again.
   */
  sendOn(peer: number, slot: number, confirm: boolean): void;
  /** Forgets the receiver index and zeroes the keys. */
  removeKeypair(slot: number, done: () => void): void;

  /** Clears PEER.handshakeWanted: the data path may ask for a handshake with this peer again. */
  acceptHandshakeRequests(peer: number): void;

  /** Seals an empty packet on the peer's sending keypair, if it has a live one. */
  sendKeepalive(peer: number): void;
  /** Drops the packets staged for a peer (a handshake was given up). */
  dropStaged(peer: number): void;

  /** Counts `bytes` of handshake traffic into the peer's counters. */
  addTraffic(peer: number, txBytes: number, rxBytes: number): void;
  /** Reads a peer's activity into `into`. */
  activity(peer: number, into: PeerActivity): void;
}

/** What the data path tells control; `now` is ms of the monotonic clock. */
export interface DataPlaneEvents {
  /** Packets are staged without a usable keypair, or the sending keypair is due for renewal. */
  handshakeWanted(peer: number, now: number): void;
  /** First authenticated packet on this keypair (confirms a responder's `next`). */
  keypairConfirmed(slot: number, now: number): void;
}
