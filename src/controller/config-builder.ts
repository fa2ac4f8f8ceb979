import { type ConfigDocument, configEtag, peerListHash } from '../contract/config.ts';
import { toBase64 } from '../contract/encoding.ts';
import { type Envelope, PAYLOAD_TYPES, signEnvelope } from '../contract/envelope.ts';
import { sealPsks } from '../contract/sealed-psks.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import type { ControllerClock } from './clock.ts';
import type { Epoch } from './epoch.ts';
import type { Governor } from './governor.ts';
import type { Settings } from './settings.ts';
import type { NodeRecord } from './store.ts';

export interface ConfigBuilderOptions {
  readonly governor: Governor;
  readonly settings: Settings;
  readonly clock: ControllerClock;
  readonly crypto: CryptoProvider;
  readonly meshId: Uint8Array;
  readonly signingSeed: Uint8Array;
}

export interface BuiltConfig {
  readonly etag: string;
  readonly envelope: Envelope;
}

/** Writes, seals and signs the config that answers one request of one node. */
export class ConfigBuilder {
  private readonly options: ConfigBuilderOptions;

  constructor(options: ConfigBuilderOptions) {
    this.options = options;
  }

  etag(nodeId: string, epoch: Epoch): string {
    return configEtag(nodeId, epoch.epoch, epoch.version);
  }

  async build(node: NodeRecord, epoch: Epoch, nonce: string): Promise<BuiltConfig> {
    const { governor, settings, clock, crypto, meshId, signingSeed } = this.options;
    const since = new Map(epoch.members.map((one) => [one.nodeId, one.sinceEpoch]));
    const allowed = since.has(node.nodeId);
    const verdict = epoch.verdicts[node.nodeId];
    const peers = allowed
      ? epoch.members.flatMap(({ nodeId }) => {
          const peer = nodeId === node.nodeId ? undefined : governor.nodes.get(nodeId);
          return peer === undefined ? [] : [peer];
        })
      : [];
    const document: ConfigDocument = {
      mesh_id: toBase64(meshId),
      audience: node.nodeId,
      epoch: epoch.epoch,
      version: epoch.version,
      nonce,
      issued_at: clock.wall(),
      lifetime_s: settings.lifetimeS,
      epoch_s: settings.epochS,
      grace_s: settings.graceS,
      allowed,
      reason: verdict?.reason ?? 'not_yet_decided',
      explanation: verdict?.explanation ?? 'Enrolled; the next epoch decides.',
      tunnel_address: node.tunnelAddress,
      tunnel_prefix: settings.tunnelPrefix,
      peers: peers.map((peer) => ({
        node_id: peer.nodeId,
        record: peer.record,
        tunnel_address: peer.tunnelAddress,
        endpoint: peer.endpoint,
        since_epoch: since.get(peer.nodeId)!,
      })),
      roster: [...governor.nodes.values()]
        .filter((other) => other.nodeId !== node.nodeId)
        .map((other) => ({
          node_id: other.nodeId,
          tunnel_address: other.tunnelAddress,
          allowed: since.has(other.nodeId),
        })),
      sealed_psks: peers.length === 0 ? null : await this.seal(node, epoch, peers, since),
    };
    return {
      etag: this.etag(node.nodeId, epoch),
      envelope: signEnvelope(crypto, signingSeed, PAYLOAD_TYPES.config, document),
    };
  }

  private async seal(
    node: NodeRecord,
    epoch: Epoch,
    peers: readonly NodeRecord[],
    since: ReadonlyMap<string, number>,
  ): Promise<ConfigDocument['sealed_psks']> {
    const { governor, crypto, meshId } = this.options;
    const psks = governor.pairPsks(epoch, node, peers);
    try {
      return await sealPsks(node.sealing, psks, {
        meshId,
        nodeId: node.nodeId,
        epoch: epoch.epoch,
        version: epoch.version,
        peerList: peerListHash(
          crypto,
          peers.map((peer) => ({
            nodeId: peer.nodeId,
            wireguard: peer.wireguard,
            sinceEpoch: since.get(peer.nodeId)!,
          })),
        ),
      });
    } finally {
      for (const psk of psks) psk.fill(0);
    }
  }
}
