import { toBase64 } from '../../../src/contract/encoding.ts';
import { presharedKeyBytes } from '../../../src/device/preshared-key.ts';
import type {
  DeviceChange,
  DeviceStatus,
  EpochKeys,
  PeerChange,
} from '../../../src/tunnel/create-tunnel.ts';

/** Remembers what it was told and behaves like a device's peer list. */
export class FakeTunnel {
  private epoch: EpochKeys | undefined;
  readonly changes: DeviceChange[] = [];
  readonly expired: number[] = [];
  readonly peers = new Map<string, PeerChange>();
  /** Set to make the next changes fail. */
  refuse: (change: DeviceChange) => boolean = () => false;
  readonly closed: Promise<Error | undefined> = new Promise(() => {});

  async configure(change: DeviceChange): Promise<void> {
    if (this.refuse(change)) throw new Error('refused');
    this.changes.push(change);
    if (change.replacePeers) this.peers.clear();
    const { epoch } = change;
    for (const [key, peer] of epoch ? this.peers : []) {
      this.peers.set(key, { ...peer, ...this.keyOf(epoch!, peer) });
    }
    this.epoch = epoch ?? this.epoch;
    for (const peer of change.peers ?? []) {
      const key = toBase64(peer.publicKey);
      if (peer.remove) this.peers.delete(key);
      else this.peers.set(key, { ...this.peers.get(key), ...peer, ...this.keyFor(peer) });
    }
  }

  /** As a device does it, whose epoch has a key for those that come without one. */
  private keyFor(peer: PeerChange): Partial<PeerChange> {
    const { epoch } = this;
    if (peer.presharedKey !== undefined || peer.generation === undefined || !epoch) return {};
    return this.keyOf(epoch, peer);
  }

  private keyOf({ generation, presharedKeyOf }: EpochKeys, { publicKey }: PeerChange) {
    return { generation, presharedKey: () => presharedKeyOf(publicKey)! };
  }

  async expireKeypairs(before: number): Promise<void> {
    this.expired.push(before);
  }

  status(): DeviceStatus {
    return {
      privateKey: undefined,
      publicKey: undefined,
      listenPort: 51820,
      fwmark: 0,
      drops: {},
      peers: [...this.peers.values()].map((peer) => ({
        publicKey: peer.publicKey,
        presharedKey: peer.presharedKey && presharedKeyBytes(peer.presharedKey),
        endpoint: peer.endpoint,
        persistentKeepalive: 0,
        allowedIps: (peer.allowedIps ?? []).map((change) => change.prefix),
        lastHandshakeAt: undefined,
        txBytes: 0,
        rxBytes: 0,
        generation: peer.generation,
      })),
    };
  }

  async close(): Promise<void> {}
}
