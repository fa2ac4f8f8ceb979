import { copyBytes } from '../crypto/bytes.ts';
import type { PeerStatus } from './config.ts';
import { type DataPlane, newActivity } from './data-plane.ts';
import type { Peer } from './peer.ts';

/** What is shown of each peer. Copies: nobody can change the device through them. */
export function peerStatus(peers: Iterable<Peer>, plane: DataPlane): PeerStatus[] {
  const activity = newActivity();
  return [...peers].map((peer) => {
    plane.activity(peer.slot, activity);
    return {
      publicKey: copyBytes(peer.publicKey),
      presharedKey: peer.hasPresharedKey ? copyBytes(peer.presharedKey) : undefined,
      endpoint: plane.getEndpoint(peer.slot),
      persistentKeepalive: peer.timers.persistentKeepalive,
      allowedIps: [...peer.allowedIps.values()],
      lastHandshakeAt: peer.lastHandshakeAt,
      txBytes: activity.txBytes,
      rxBytes: activity.rxBytes,
      generation: peer.keypairs.confirmedGeneration,
      isQuiet: peer.isQuiet,
    };
  });
}
