import { KEYPAIR, type PacketMemory, PEER } from '../datapath/memory.ts';
import type { NewKeypair, PeerActivity } from '../device/data-plane.ts';

/** Fills a keypair slot. The data path must not know of the slot yet. */
export function writeKeypair(memory: PacketMemory, keypair: NewKeypair): void {
  const at = memory.keypair(keypair.slot);
  memory.u8.set(keypair.sendKey, at + KEYPAIR.sendKey);
  memory.u8.set(keypair.receiveKey, at + KEYPAIR.receiveKey);
  memory.u32[(at + KEYPAIR.sendCounterLow) >> 2] = 0;
  memory.u32[(at + KEYPAIR.sendCounterHigh) >> 2] = 0;
  memory.u32[(at + KEYPAIR.remoteIndex) >> 2] = keypair.remoteIndex;
  memory.u32[(at + KEYPAIR.localIndex) >> 2] = keypair.localIndex;
  memory.u32[(at + KEYPAIR.peer) >> 2] = keypair.peer;
  Atomics.store(memory.i32, (at + KEYPAIR.confirmed) >> 2, 0);
  memory.f64[(at + KEYPAIR.rejectAt) >> 3] = keypair.rejectAt;
  memory.f64[(at + KEYPAIR.rekeyAt) >> 3] = keypair.rekeyAt;
  memory.f64[(at + KEYPAIR.lastReceivedAt) >> 3] = 0;
}

/** What the data path has counted for a peer. Aligned f64 reads: never torn on 64-bit machines. */
export function readActivity(memory: PacketMemory, peer: number, into: PeerActivity): void {
  const at = memory.peer(peer);
  const { f64 } = memory;
  into.lastDataSentAt = f64[(at + PEER.lastDataSentAt) >> 3]!;
  into.lastSentAt = f64[(at + PEER.lastSentAt) >> 3]!;
  into.lastDataReceivedAt = f64[(at + PEER.lastDataReceivedAt) >> 3]!;
  into.lastReceivedAt = f64[(at + PEER.lastReceivedAt) >> 3]!;
  into.txBytes = f64[(at + PEER.txBytes) >> 3]!;
  into.rxBytes = f64[(at + PEER.rxBytes) >> 3]!;
}

/** Lets the data path ask for a handshake with this peer again. */
export function clearHandshakeWanted(memory: PacketMemory, peer: number): void {
  Atomics.store(memory.i32, (memory.peer(peer) + PEER.handshakeWanted) >> 2, 0);
}
