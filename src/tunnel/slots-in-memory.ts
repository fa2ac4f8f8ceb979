import { KEYPAIR, LANE_PEER, type PacketMemory, PEER } from '../datapath/memory.ts';
import { clearEndpoint, readEndpoint, writeEndpoint } from '../datapath/peer-endpoint.ts';
import { type NewKeypair, NO_KEYPAIR, type PeerActivity } from '../device/data-plane.ts';
import { decodeEndpoint, type Endpoint, encodeEndpoint } from '../wire/endpoint.ts';

/** Fills a keypair slot for all lanes. The data path must not know of the slot yet. */
export function writeKeypair(memory: PacketMemory, keypair: NewKeypair): void {
  const at = memory.keypair(keypair.slot);
  const { lanes } = memory.layout;
  memory.u8.set(keypair.sendKey, at + KEYPAIR.sendKey);
  memory.u8.set(keypair.receiveKey, at + KEYPAIR.receiveKey);
  memory.u32[(at + KEYPAIR.sendCounterLow) >> 2] = 0;
  memory.u32[(at + KEYPAIR.sendCounterHigh) >> 2] = 0;
  memory.u32[(at + KEYPAIR.remoteIndex) >> 2] = keypair.remoteIndex;
  memory.u32[(at + KEYPAIR.localIndex) >> 2] = keypair.localIndex;
  memory.u32[(at + KEYPAIR.peer) >> 2] = keypair.peer;
  memory.f64[(at + KEYPAIR.rejectAt) >> 3] = keypair.rejectAt;
  memory.f64[(at + KEYPAIR.rekeyAt) >> 3] = keypair.rekeyAt;
  memory.f64[(at + KEYPAIR.lastReceivedAt) >> 3] = 0;
  // Here and not where a lane is told of the slot: another one may be receiving on it by then.
  memory.replayWindow(keypair.slot).reset();
  Atomics.store(memory.i32, (at + KEYPAIR.sendHolders) >> 2, lanes);
  Atomics.store(memory.i32, (at + KEYPAIR.receiveHolders) >> 2, lanes);
  Atomics.store(memory.i32, (at + KEYPAIR.confirmed) >> 2, 0);
  if (keypair.sendWhenHeard) {
    Atomics.store(
      memory.i32,
      (memory.peer(keypair.peer) + PEER.nextKeypair) >> 2,
      keypair.slot + 1,
    );
  }
}

/** Control has said that `slot` (NONE: nothing) is sent on: no other one may be taken up instead. */
export function settleNextKeypair(memory: PacketMemory, peer: number, slot: number): void {
  const next = (memory.peer(peer) + PEER.nextKeypair) >> 2;
  if (Atomics.load(memory.i32, next) !== slot + 1) Atomics.store(memory.i32, next, 0);
}

/** The slot may be another keypair's soon. */
export function forgetNextKeypair(memory: PacketMemory, slot: number): void {
  const peer = memory.u32[(memory.keypair(slot) + KEYPAIR.peer) >> 2]!;
  const next = (memory.peer(peer) + PEER.nextKeypair) >> 2;
  Atomics.compareExchange(memory.i32, next, slot + 1, 0);
}

/**
 * What all lanes together have counted for a peer, and the latest of their times. Aligned f64
 * reads: never torn on 64-bit machines.
 */
export function readActivity(memory: PacketMemory, peer: number, into: PeerActivity): void {
  into.lastDataSentAt = 0;
  into.lastSentAt = 0;
  into.lastDataReceivedAt = 0;
  into.lastReceivedAt = 0;
  into.txBytes = 0;
  into.rxBytes = 0;
  const { f64, layout } = memory;
  for (let lane = 0; lane < layout.lanes; lane++) {
    const at = memory.lanePeer(lane, peer);
    const read = (field: number): number => f64[(at + field) >> 3]!;
    into.lastDataSentAt = Math.max(into.lastDataSentAt, read(LANE_PEER.lastDataSentAt));
    into.lastSentAt = Math.max(into.lastSentAt, read(LANE_PEER.lastSentAt));
    into.lastDataReceivedAt = Math.max(into.lastDataReceivedAt, read(LANE_PEER.lastDataReceivedAt));
    into.lastReceivedAt = Math.max(into.lastReceivedAt, read(LANE_PEER.lastReceivedAt));
    into.txBytes += read(LANE_PEER.txBytes);
    into.rxBytes += read(LANE_PEER.rxBytes);
  }
}

/** Lets the data path ask for a handshake with this peer again. */
export function clearHandshakeWanted(memory: PacketMemory, peer: number): void {
  Atomics.store(memory.i32, (memory.peer(peer) + PEER.handshakeWanted) >> 2, 0);
}

/** A slot as a peer finds it that is new. */
export function clearPeer(memory: PacketMemory, peer: number): void {
  clearEndpoint(memory, peer);
  clearHandshakeWanted(memory, peer);
  settleNextKeypair(memory, peer, NO_KEYPAIR);
}

/** `work`: where an endpoint is put together before it is written to the peer's slot. */
export function setPeerEndpoint(
  memory: PacketMemory,
  peer: number,
  work: number,
  endpoint: Endpoint | undefined,
): void {
  if (endpoint === undefined) {
    clearEndpoint(memory, peer);
    return;
  }
  encodeEndpoint(memory.u8, work, endpoint);
  writeEndpoint(memory, peer, work);
}

export function peerEndpoint(
  memory: PacketMemory,
  peer: number,
  work: number,
): Endpoint | undefined {
  return readEndpoint(memory, peer, work) ? decodeEndpoint(memory.u8, work) : undefined;
}
