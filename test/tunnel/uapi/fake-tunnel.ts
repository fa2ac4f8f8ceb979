import type { DeviceChange, DeviceStatus, PeerStatus } from '../../../src/device/config.ts';
import { presharedKeyBytes } from '../../../src/device/preshared-key.ts';
import type { Tunnel } from '../../../src/tunnel/tunnel.ts';
import { formatPrefix } from '../../../src/wire/address-text.ts';
import type { Prefix } from '../../../src/wire/prefix.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Configuration in, configuration out, no packets: what a client of the socket can see. */
export class FakeTunnel implements Pick<Tunnel, 'configure' | 'status'> {
  readonly changes: DeviceChange[] = [];
  private readonly device = { privateKey: undefined as Uint8Array | undefined, port: 0, fwmark: 0 };
  private readonly peers = new Map<string, Mutable<PeerStatus>>();
  private readonly routes = new Map<string, { prefix: Prefix; peer: string }>();
  /** Thrown by the next `configure`. */
  failure: Error | undefined;

  async configure(change: DeviceChange): Promise<void> {
    await Promise.resolve();
    const failure = this.failure;
    this.failure = undefined;
    if (failure !== undefined) throw failure;
    this.changes.push(change);
    if (change.privateKey !== undefined) {
      this.device.privateKey = change.privateKey.every((byte) => byte === 0)
        ? undefined
        : change.privateKey;
    }
    this.device.port = change.listenPort ?? this.device.port;
    this.device.fwmark = change.fwmark ?? this.device.fwmark;
    if (change.replacePeers) {
      this.peers.clear();
      this.routes.clear();
    }
    for (const peerChange of change.peers ?? []) {
      const id = peerChange.publicKey.toHex();
      let peer = this.peers.get(id);
      if (peerChange.remove) {
        this.peers.delete(id);
        this.dropRoutes(id);
        continue;
      }
      if (peer === undefined) {
        if (peerChange.updateOnly) continue;
        peer = newPeer(peerChange.publicKey);
        this.peers.set(id, peer);
      }
      if (peerChange.presharedKey !== undefined) {
        peer.presharedKey = presharedKeyBytes(peerChange.presharedKey);
      }
      if (peerChange.endpoint !== undefined) peer.endpoint = peerChange.endpoint;
      peer.persistentKeepalive = peerChange.persistentKeepalive ?? peer.persistentKeepalive;
      if (peerChange.replaceAllowedIps) this.dropRoutes(id);
      for (const { prefix, remove } of peerChange.allowedIps ?? []) {
        const route = formatPrefix(prefix);
        if (!remove) this.routes.set(route, { prefix, peer: id });
        else if (this.routes.get(route)?.peer === id) this.routes.delete(route);
      }
    }
  }

  status(): DeviceStatus {
    const { privateKey, port, fwmark } = this.device;
    const allowed = Map.groupBy(this.routes.values(), (route) => route.peer);
    const peers = [...this.peers].map(([id, peer]) => ({
      ...peer,
      allowedIps: (allowed.get(id) ?? []).map((route) => route.prefix),
    }));
    return { privateKey, publicKey: undefined, listenPort: port, fwmark, peers, drops: {} };
  }

  private dropRoutes(id: string): void {
    for (const [route, { peer }] of this.routes) if (peer === id) this.routes.delete(route);
  }
}

function newPeer(publicKey: Uint8Array): Mutable<PeerStatus> {
  return {
    publicKey,
    presharedKey: undefined,
    endpoint: undefined,
    persistentKeepalive: 0,
    allowedIps: [],
    lastHandshakeAt: undefined,
    txBytes: 0,
    rxBytes: 0,
    generation: undefined,
  };
}
