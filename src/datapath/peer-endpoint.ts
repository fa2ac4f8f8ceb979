import { ENDPOINT } from '../wire/endpoint.ts';
import { type PacketMemory, PEER } from './memory.ts';

/**
 * The endpoint of a peer in shared memory, under a sequence lock: control and inbound write it,
 * outbound reads it. A writer makes the sequence odd by compare-and-exchange, so that two writers
 * exclude each other; a reader copies and tries again if the sequence was odd or has changed.
 * Nobody holds the lock for longer than a dozen stores.
 */
const WORDS = ENDPOINT.length >> 2;

/** True if the peer's endpoint differs from the ENDPOINT at `source`. May err only towards true. */
export function endpointDiffers(memory: PacketMemory, peer: number, source: number): boolean {
  const { u32 } = memory;
  const from = source >> 2;
  const to = (memory.peer(peer) + PEER.endpoint) >> 2;
  for (let word = 0; word < WORDS; word++) {
    if (u32[to + word] !== u32[from + word]) return true;
  }
  return false;
}

/** Sets the peer's endpoint to the ENDPOINT form at byte `source` (4-byte aligned) of the memory. */
export function writeEndpoint(memory: PacketMemory, peer: number, source: number): void {
  const { u32 } = memory;
  const from = source >> 2;
  const to = (memory.peer(peer) + PEER.endpoint) >> 2;
  const sequence = lock(memory, peer);
  for (let word = 0; word < WORDS; word++) Atomics.store(u32, to + word, u32[from + word]!);
  unlock(memory, peer, sequence);
}

/** The peer has no endpoint from now on. */
export function clearEndpoint(memory: PacketMemory, peer: number): void {
  const to = (memory.peer(peer) + PEER.endpoint) >> 2;
  const sequence = lock(memory, peer);
  for (let word = 0; word < WORDS; word++) Atomics.store(memory.u32, to + word, 0);
  unlock(memory, peer, sequence);
}

/** Copies the peer's endpoint to byte `destination` (4-byte aligned). False if it has none. */
export function readEndpoint(memory: PacketMemory, peer: number, destination: number): boolean {
  const { i32, u32, view } = memory;
  const sequenceAt = (memory.peer(peer) + PEER.endpointSequence) >> 2;
  const from = (memory.peer(peer) + PEER.endpoint) >> 2;
  const to = destination >> 2;
  for (;;) {
    const before = Atomics.load(i32, sequenceAt);
    if (before & 1) continue;
    for (let word = 0; word < WORDS; word++) u32[to + word] = Atomics.load(u32, from + word);
    if (Atomics.load(i32, sequenceAt) === before) break;
  }
  return view.getUint16(destination + ENDPOINT.family, true) !== 0;
}

function lock(memory: PacketMemory, peer: number): number {
  const sequenceAt = (memory.peer(peer) + PEER.endpointSequence) >> 2;
  for (;;) {
    const even = Atomics.load(memory.i32, sequenceAt) & ~1;
    if (Atomics.compareExchange(memory.i32, sequenceAt, even, even + 1) === even) return even;
  }
}

function unlock(memory: PacketMemory, peer: number, even: number): void {
  Atomics.store(memory.i32, (memory.peer(peer) + PEER.endpointSequence) >> 2, (even + 2) | 0);
}
