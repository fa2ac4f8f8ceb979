import { toBase64 } from '../contract/encoding.ts';
import {
  type DeviceChange,
  type DeviceStatus,
  type EpochKeys,
  type PeerChange,
  presharedKeyBytes,
  type Tunnel,
} from '../tunnel/create-tunnel.ts';
import { uapiGet, uapiSet } from '../tunnel/uapi/client.ts';
import type { UapiStatus } from '../tunnel/uapi/settings.ts';
import type { AgentClock } from './clock.ts';

/**
 * A foreign WireGuard device (official wireguard-go, a kernel's through its tools) driven by the
 * same reconcile as ours. It knows neither generations nor rotation, so what it lacks is made up
 * for from outside:
 *
 * - A new PSK ends no session of it and starts no handshake. Where the other end is one of ours,
 *   that end initiates. If no handshake has come `renewAfterMs` later (both ends foreign, or the
 *   initiation was lost), the peer is removed and added again, which does start one: the end with
 *   the smaller key first, the other one as late again. That is not hitless.
 * - A peer that was out in between (`expireBefore`), and all peers after a suspend, are removed and
 *   added again, which ends their sessions.
 */
export class UapiTunnel implements Pick<Tunnel, 'configure' | 'status' | 'expireKeypairs'> {
  readonly closed: Promise<Error | undefined>;

  private readonly options: UapiTunnelOptions;
  private readonly stop = new AbortController();
  /** What each peer was last told, by key. PSKs live here and in the device only. */
  private readonly peers = new Map<string, KnownPeer>();
  private epoch: EpochKeys | undefined;
  /** How often a session had to be ended to renew it. */
  private addedAgain = 0;
  private latest: Pick<UapiStatus, 'listenPort' | 'peers'> = { listenPort: 0, peers: [] };
  private settleClosed: (error: Error | undefined) => void = () => {};

  constructor(options: UapiTunnelOptions) {
    this.options = options;
    this.closed = new Promise((settle) => {
      this.settleClosed = settle;
    });
  }

  /** Gives the device its identity, empties it, and begins to watch it. */
  async open(privateKey: Uint8Array, listenPort: number): Promise<void> {
    await uapiSet(this.options.socket, { privateKey, listenPort, replacePeers: true });
    await this.refresh();
    void this.watch();
  }

  async configure(change: DeviceChange): Promise<void> {
    const peers = this.keyed(change);
    const changes = peers.flatMap((peer) => this.foreignChange(peer, change));
    await uapiSet(this.options.socket, { ...change, peers: changes });
    if (change.replacePeers) this.peers.clear();
    const now = this.options.clock.monotonic();
    for (const peer of peers) this.remember(peer, now);
    await this.refresh();
  }

  status(): DeviceStatus {
    return {
      privateKey: undefined,
      publicKey: undefined,
      listenPort: this.latest.listenPort,
      fwmark: 0,
      peers: this.latest.peers,
      drops: { foreignPeerAddedAgain: this.addedAgain },
    };
  }

  async expireKeypairs(before: number): Promise<void> {
    const old = [...this.peers.values()].filter((peer) => (peer.last.generation ?? 0) < before);
    await this.addAgain(old);
  }

  /** Empties the device and takes its identity away; the device itself belongs to someone else. */
  async close(): Promise<void> {
    if (this.stop.signal.aborted) return;
    this.stop.abort();
    const change = { privateKey: new Uint8Array(32), replacePeers: true };
    await uapiSet(this.options.socket, change).catch(() => {}); // gone with the device
    this.settleClosed(undefined);
  }

  /** A foreign device does not ask for a key when it needs it: an epoch gives each peer its own at once. */
  private keyed(change: DeviceChange): KeyedChange[] {
    const { epoch = this.epoch, replacePeers } = change;
    const changes = change.peers ?? [];
    this.epoch = epoch;
    if (epoch === undefined) return changes.map(withKey);
    const named = new Set(changes.map(({ publicKey }) => toBase64(publicKey)));
    const others =
      change.epoch === undefined || replacePeers
        ? []
        : [...this.peers].filter(([key]) => !named.has(key));
    const { generation } = epoch;
    const renewed = others.map(
      ([, { last }]): PeerChange => ({ publicKey: last.publicKey, generation }),
    );
    return [...changes, ...renewed].map((peer) => {
      if (peer.generation === undefined || peer.presharedKey !== undefined) return withKey(peer);
      const presharedKey = epoch.presharedKeyOf(peer.publicKey);
      return presharedKey === undefined ? withKey(peer) : { ...peer, presharedKey };
    });
  }

  /** One peer's change in the words a foreign device knows. */
  private foreignChange(peer: KeyedChange, change: DeviceChange): PeerChange[] {
    if (peer.remove) return [peer];
    if (!peer.presharedKey || peer.presharedKey.every((byte) => byte === 0)) {
      throw new Error('a governed peer needs a pre-shared key'); // as requirePsk does on ours
    }
    const known = this.peers.get(toBase64(peer.publicKey));
    if (!known || change.replacePeers) return [peer];
    const wasOut = (peer.expireBefore ?? 0) > (known.last.generation ?? 0);
    if (!wasOut) return [{ ...routesOf(known.last), ...peer }];
    return [{ publicKey: peer.publicKey, remove: true }, this.whole(known, peer)];
  }

  private remember(peer: PeerChange, now: number): void {
    const key = toBase64(peer.publicKey);
    if (peer.remove) {
      this.peers.delete(key);
      return;
    }
    const known = this.peers.get(key);
    this.peers.set(key, {
      last: known ? this.whole(known, peer) : peer,
      keyedAt: now,
      keyedAtWall: this.options.clock.wall(),
      attempts: 0,
    });
  }

  /** A change with what it leaves out taken from before: a peer is added again as a whole. */
  private whole(known: KnownPeer, peer: PeerChange): PeerChange {
    const key = toBase64(peer.publicKey);
    const roamed = this.latest.peers.find((other) => toBase64(other.publicKey) === key)?.endpoint;
    const endpoint = peer.endpoint ?? roamed ?? known.last.endpoint;
    return { ...known.last, ...peer, ...(endpoint ? { endpoint } : {}) };
  }

  private async addAgain(peers: readonly KnownPeer[]): Promise<void> {
    if (peers.length === 0) return;
    const changes = peers.flatMap(({ last, attempts }): PeerChange[] => [
      { publicKey: last.publicKey, remove: true },
      {
        ...this.whole({ ...NOT_KEYED, last }, last),
        ...this.anotherPlace(last, attempts),
        // Setting a keepalive interval makes the device send one at once, and so initiate.
        persistentKeepalive: KEEPALIVE_S,
      },
    ]);
    await uapiSet(this.options.socket, { peers: changes });
    await this.refresh();
  }

  /** A foreign device knows one endpoint: until it has heard the peer, each attempt is at another one. */
  private anotherPlace({ publicKey, candidates = [] }: PeerChange, attempts: number) {
    const key = toBase64(publicKey);
    const known = this.latest.peers.find((other) => toBase64(other.publicKey) === key);
    if (known?.lastHandshakeAt !== undefined || candidates.length === 0) return {};
    return { endpoint: candidates[attempts % candidates.length]! };
  }

  private async refresh(): Promise<void> {
    this.latest = await uapiGet(this.options.socket);
  }

  /** Looks at the device, adds peers again that stay on old keys, and notices when it is gone. */
  private async watch(): Promise<void> {
    const { clock, renewAfterMs, ownKey } = this.options;
    let failures = 0;
    while (!this.stop.signal.aborted) {
      await clock.sleep(WATCH_MS, this.stop.signal);
      if (this.stop.signal.aborted) return;
      try {
        await this.refresh();
        failures = 0;
        const now = clock.monotonic();
        const due = [...this.peers.values()].filter((peer) => {
          if (this.isRenewed(peer)) return false;
          const turns = (compareBytes(ownKey, peer.last.publicKey) < 0 ? 1 : 2) + 2 * peer.attempts;
          return now - peer.keyedAt >= turns * renewAfterMs;
        });
        for (const peer of due) peer.attempts++;
        await this.addAgain(due);
        this.addedAgain += due.length;
      } catch (error) {
        failures++;
        if (failures < GIVE_UP_AFTER) continue;
        this.stop.abort();
        this.settleClosed(error as Error);
      }
    }
  }

  private isRenewed(peer: KnownPeer): boolean {
    const key = toBase64(peer.last.publicKey);
    const found = this.latest.peers.find((other) => toBase64(other.publicKey) === key);
    return (found?.lastHandshakeAt ?? 0) >= peer.keyedAtWall;
  }
}

export interface UapiTunnelOptions {
  readonly socket: string;
  /** This node's WireGuard public key. */
  readonly ownKey: Uint8Array;
  readonly clock: AgentClock;
  /** ms after a new PSK without a handshake until the peer is added again. */
  readonly renewAfterMs: number;
}

interface KnownPeer {
  readonly last: PeerChange;
  /** When its PSK was set: monotonic ms, and wall clock ms as the device stamps handshakes. */
  readonly keyedAt: number;
  readonly keyedAtWall: number;
  attempts: number;
}

type KeyedChange = PeerChange & { readonly presharedKey?: Uint8Array };

/** Said with every key: whoever else has the device in hand may have changed them. */
function routesOf({ allowedIps, replaceAllowedIps }: PeerChange): Partial<PeerChange> {
  return {
    ...(allowedIps && { allowedIps }),
    ...(replaceAllowedIps !== undefined && { replaceAllowedIps }),
  };
}

/** A foreign device does not ask for the key when it needs it. */
function withKey(peer: PeerChange): KeyedChange {
  const { presharedKey, ...rest } = peer;
  return presharedKey === undefined
    ? rest
    : { ...rest, presharedKey: presharedKeyBytes(presharedKey) };
}

const NOT_KEYED = { keyedAt: 0, keyedAtWall: 0, attempts: 0 };
const WATCH_MS = 250;
const KEEPALIVE_S = 25;
/** Looks in a row that found no device. */
const GIVE_UP_AFTER = 4;

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}
