import {
  IN_FLIGHT,
  REJECT_AFTER_MESSAGES_HIGH,
  REJECT_AFTER_MESSAGES_LOW,
  REKEY_AFTER_MESSAGES_HIGH,
  SHARED_REJECT_AFTER_MESSAGES,
  SHARED_REKEY_AFTER_MESSAGES,
} from '../session/limits.ts';
import { IPV4, IPV6, ipTotalLength } from '../wire/ip.ts';
import { MESSAGE_TYPE } from '../wire/message-type.ts';
import { TRANSPORT_DATA } from '../wire/transport-data.ts';
import { VNET_GSO, VNET_HEADER } from '../wire/virtio-net.ts';
import { Batches, MAX_BATCH_BYTES } from './batches.ts';
import { letGoOfKey } from './key-holders.ts';
import { BUFFER, DROP, KEYPAIR, LANE_PEER, NONE, NOT_DROPPED, PEER } from './memory.ts';
import { Segmenter } from './segmentation.ts';
import type { OutboundOptions, OutboundPath } from './sinks.ts';
import { Staging } from './staging.ts';

/**
 * Outbound flow:
 * 1. A packet or super-packet comes from the TUN device.
 * 2. Its destination address chooses the peer.
 * 3. The peer's sending keypair, if it may still be used, is found; else the packet is staged.
 * 4. Super-packets are cut into segments, unfinished checksums are finished.
 * 5. Each segment is padded, gets a header and the next counter, and is sealed into the batch.
 * 6. A batch is sent when it is full, when a packet does not go with it, and at every `flush`.
 */
export class Outbound implements OutboundPath {
  mtu: number;

  private readonly options: OutboundOptions;
  private readonly segmenter: Segmenter;
  private readonly staging = new Staging();
  /**
   * Keypair slots that this thread was told of and not yet told to forget: 1 + peer, 0 for none, so that
   * room which is not used is memory that is not touched.
   */
  private readonly ownerOfKeypair: Int32Array;
  /** No slot from here on has ever been used: control takes the lowest ones first. */
  private usedSlots = 0;
  /** Keypair slot that each peer's packets are sent on, or NONE. */
  private readonly sendingKeypair: Int32Array;
  /** Other threads take counters of the same keypairs. */
  private readonly sharesCounters: boolean;
  private readonly packetBuffer: number;
  private readonly batches: Batches;

  constructor(options: OutboundOptions) {
    const { memory, thread } = options;
    this.options = options;
    this.mtu = options.mtu;
    this.segmenter = new Segmenter(memory, options.kernel);
    this.ownerOfKeypair = new Int32Array(memory.layout.maxKeypairs);
    this.sendingKeypair = new Int32Array(memory.layout.maxPeers).fill(NONE);
    this.sharesCounters = memory.layout.lanes > 1;
    this.packetBuffer = memory.buffers(thread) + BUFFER.packet;
    this.batches = new Batches(
      {
        sendDatagrams: (peer, offset, length, segment) => {
          options.aead.sealEnd(); // the last packet of it may not be whole
          options.sink.sendDatagrams(peer, offset, length, segment);
        },
      },
      memory.buffers(thread) + BUFFER.batch,
      BUFFER.batchStride,
      BUFFER.batchCount,
    );
  }

  send(offset: number, length: number, vnetHeader: boolean, now: number): void {
    const { memory, thread } = this.options;
    const reason = this.process(offset, length, vnetHeader, now);
    if (reason !== NOT_DROPPED) memory.addDrops(thread, reason, 1);
  }

  flush(): void {
    this.batches.flush();
  }

  sendOn(peer: number, slot: number, confirm: boolean, now: number): void {
    this.flush();
    const keypair = slot !== NONE && this.ownerOfKeypair[slot] === peer + 1 ? slot : NONE;
    this.setSendingKeypair(peer, keypair);
    if (keypair === NONE) return;
    const { memory } = this.options;
    const sentBefore = this.sentPackets(peer);
    for (let staged = this.staging.count(peer); staged > 0; staged--) {
      const packet = this.staging.shift(peer, memory.u8, this.packetBuffer)!;
      this.send(this.packetBuffer, packet.length, packet.headerLength > 0, now);
    }
    if (confirm && this.sentPackets(peer) === sentBefore) this.keepalive(peer, now);
    this.flush();
  }

  keepalive(peer: number, now: number): void {
    const keypair = this.usableKeypair(peer, 1, now);
    if (keypair === NONE) return;
    const at = this.batches.reserve(peer, TRANSPORT_DATA.overhead);
    this.seal(keypair, at, at + TRANSPORT_DATA.encryptedPacket, 0);
    this.sent(peer, TRANSPORT_DATA.overhead, 1, false, now);
    this.flush();
  }

  dropStaged(peer: number): void {
    const { memory, thread } = this.options;
    memory.addDrops(thread, DROP.stagedGivenUp, this.staging.clear(peer));
  }

  addTraffic(peer: number, bytes: number): void {
    this.add(peer, LANE_PEER.txBytes, bytes);
  }

  addPeer(peer: number): void {
    const { memory, lane } = this.options;
    this.setSendingKeypair(peer, NONE);
    for (const field of [
      LANE_PEER.txBytes,
      LANE_PEER.txPackets,
      LANE_PEER.lastDataSentAt,
      LANE_PEER.lastSentAt,
    ] as const) {
      memory.f64[(memory.lanePeer(lane, peer) + field) >> 3] = 0;
    }
  }

  removePeer(peer: number): void {
    this.flush();
    for (let slot = 0; slot < this.usedSlots; slot++) {
      if (this.ownerOfKeypair[slot] === peer + 1) this.removeKeypair(slot);
    }
    this.setSendingKeypair(peer, NONE);
    this.dropStaged(peer);
    this.options.allowedIps.removePeer(peer);
  }

  installKeypair(slot: number): void {
    const { memory } = this.options;
    this.usedSlots = Math.max(this.usedSlots, slot + 1);
    this.ownerOfKeypair[slot] = memory.u32[(memory.keypair(slot) + KEYPAIR.peer) >> 2]! + 1;
  }

  removeAllKeypairs(): number {
    let removed = 0;
    for (let slot = 0; slot < this.usedSlots; slot++) {
      if (this.ownerOfKeypair[slot] === 0) continue;
      this.removeKeypair(slot);
      removed++;
    }
    return removed;
  }

  removeKeypair(slot: number): void {
    this.flush();
    const peer = this.ownerOfKeypair[slot]! - 1;
    if (peer < 0) return;
    this.ownerOfKeypair[slot] = 0;
    if (this.sendingKeypair[peer] === slot) this.setSendingKeypair(peer, NONE);
    letGoOfKey(this.options.memory, slot, 'send');
  }

  /** Steps 2 to 5; a DROP reason or NOT_DROPPED. */
  private process(offset: number, length: number, vnetHeader: boolean, now: number): number {
    const { memory, allowedIps } = this.options;
    const { view } = memory;
    const total = ipTotalLength(view, offset, length);
    if (total === 0) return DROP.tunMalformed;
    const peer =
      view.getUint8(offset) >>> 4 === 4
        ? allowedIps.lookup4(view, offset + IPV4.destination)
        : allowedIps.lookup6(view, offset + IPV6.destination);
    if (peer === NONE) return DROP.noPeerForDestination;

    if (
      vnetHeader &&
      view.getUint8(offset - VNET_HEADER.length + VNET_HEADER.gsoType) !== VNET_GSO.none
    ) {
      return this.sendSuperPacket(peer, offset, length, now);
    }
    const keypair = this.usableKeypair(peer, 1, now);
    if (keypair === NONE) return this.stage(peer, offset, length, vnetHeader);
    if (vnetHeader && !this.segmenter.completeChecksum(offset, total)) {
      return DROP.tunMalformed;
    }
    const padded = this.paddedLength(total);
    if (padded + TRANSPORT_DATA.overhead > MAX_BATCH_BYTES) return DROP.tooLarge;
    const at = this.batches.reserve(peer, padded + TRANSPORT_DATA.overhead);
    this.zero(offset + total, offset + padded);
    this.seal(keypair, at, offset, padded);
    this.sent(peer, padded + TRANSPORT_DATA.overhead, 1, true, now);
    return NOT_DROPPED;
  }

  private sendSuperPacket(peer: number, offset: number, length: number, now: number): number {
    const { segmenter } = this;
    if (!segmenter.begin(offset, length)) return DROP.tunMalformed;
    const { count, segmentLength, lastSegmentLength } = segmenter;
    if (this.paddedLength(segmentLength) + TRANSPORT_DATA.overhead > MAX_BATCH_BYTES) {
      return DROP.tooLarge;
    }
    const keypair = this.usableKeypair(peer, count, now);
    if (keypair === NONE) return this.stage(peer, offset, length, true);
    let bytes = 0;
    for (let left = count; left > 0; left--) {
      const padded = this.paddedLength(left > 1 ? segmentLength : lastSegmentLength);
      const at = this.batches.reserve(peer, padded + TRANSPORT_DATA.overhead);
      const packet = at + TRANSPORT_DATA.encryptedPacket;
      const segment = segmenter.next(packet);
      this.zero(packet + segment, packet + padded);
      this.seal(keypair, at, packet, padded);
      bytes += padded + TRANSPORT_DATA.overhead;
    }
    this.sent(peer, bytes, count, true, now);
    return NOT_DROPPED;
  }

  /**
   * The keypair that `count` packets to the peer may be sent on now, or NONE. Looks into this
   * thread's own table, so a slot that control is about to wipe or has reused is never taken.
   */
  private usableKeypair(peer: number, count: number, now: number): number {
    const { memory } = this.options;
    const present = this.sendingKeypair[peer]!;
    if (present === NONE) return NONE;
    const slot = this.heardNext(peer) ? this.sendingKeypair[peer]! : present;
    const keypair = memory.keypair(slot);
    if (now >= memory.f64[(keypair + KEYPAIR.rejectAt) >> 3]! - IN_FLIGHT) return NONE;
    if (this.sharesCounters) return this.usableShared(peer, slot, count, now);
    const high = memory.u32[(keypair + KEYPAIR.sendCounterHigh) >> 2]!;
    if (high >= REKEY_AFTER_MESSAGES_HIGH) {
      const low = memory.u32[(keypair + KEYPAIR.sendCounterLow) >> 2]!;
      if (high === REJECT_AFTER_MESSAGES_HIGH && low + count > REJECT_AFTER_MESSAGES_LOW) {
        return NONE;
      }
      this.wantHandshake(peer);
    } else if (now >= memory.f64[(keypair + KEYPAIR.rekeyAt) >> 3]!) {
      this.wantHandshake(peer);
    }
    return slot;
  }

  /** True if the peer was heard on its next keypair, which is sent on from now on. */
  private heardNext(peer: number): boolean {
    const { memory } = this.options;
    const { i32 } = memory;
    const next = Atomics.load(i32, (memory.peer(peer) + PEER.nextKeypair) >> 2) - 1;
    if (next < 0 || this.ownerOfKeypair[next] !== peer + 1) return false;
    if (Atomics.load(i32, (memory.keypair(next) + KEYPAIR.confirmed) >> 2) === 0) return false;
    if (this.sendingKeypair[peer] !== next) this.setSendingKeypair(peer, next);
    return true;
  }

  /**
   * The rest of `usableKeypair` where other lanes take counters of the same keypair. A counter that
   * may be used now may be gone before it is taken; what that can add up to, the limit leaves room
   * for (SHARED_REJECT_AFTER_MESSAGES).
   */
  private usableShared(peer: number, slot: number, count: number, now: number): number {
    const { memory } = this.options;
    const keypair = memory.keypair(slot);
    const low = Atomics.load(memory.u32, (keypair + KEYPAIR.sendCounterLow) >> 2);
    if (low + count > SHARED_REJECT_AFTER_MESSAGES) return NONE;
    if (
      low >= SHARED_REKEY_AFTER_MESSAGES ||
      now >= memory.f64[(keypair + KEYPAIR.rekeyAt) >> 3]!
    ) {
      this.wantHandshake(peer);
    }
    return slot;
  }

  /** Header and sealed packet at `at`, from `length` padded bytes at `source` (paper 5.4.6). */
  private seal(slot: number, at: number, source: number, length: number): void {
    const { memory, aead } = this.options;
    const { view, u32 } = memory;
    const keypair = memory.keypair(slot);
    const lowAt = (keypair + KEYPAIR.sendCounterLow) >> 2;
    const highAt = (keypair + KEYPAIR.sendCounterHigh) >> 2;
    const high = u32[highAt]!;
    // Counted up before it is used: whatever happens in between, a nonce is never used twice.
    let low: number;
    if (this.sharesCounters) {
      low = Atomics.add(u32, lowAt, 1);
    } else {
      low = u32[lowAt]!;
      u32[lowAt] = low + 1;
      if (low === 0xffffffff) u32[highAt] = high + 1;
    }
    view.setUint32(at + TRANSPORT_DATA.type, MESSAGE_TYPE.transportData, true);
    const receiver = memory.i32[(keypair + KEYPAIR.remoteIndex) >> 2]!;
    view.setInt32(at + TRANSPORT_DATA.receiver, receiver, true);
    view.setUint32(at + TRANSPORT_DATA.counterLow, low, true);
    view.setUint32(at + TRANSPORT_DATA.counterHigh, high, true);
    const key = keypair + KEYPAIR.sendKey;
    aead.sealNext(key, low, high, at + TRANSPORT_DATA.encryptedPacket, source, length);
  }

  /**
   * Inner packets are padded to a multiple of 16, but not beyond the MTU (paper 5.4.6). One that
   * is longer than the MTU is padded as its last MTU-sized part would be.
   */
  private paddedLength(length: number): number {
    const last = length > this.mtu ? length % this.mtu : length;
    return length - last + Math.min((last + 15) & ~15, this.mtu);
  }

  private stage(peer: number, offset: number, length: number, vnetHeader: boolean): number {
    const headerLength = vnetHeader ? VNET_HEADER.length : 0;
    const dropped = this.staging.push(
      peer,
      this.options.memory.u8,
      offset - headerLength,
      length + headerLength,
      headerLength,
    );
    if (dropped > 0) {
      this.options.memory.addDrops(this.options.thread, DROP.stagedOverflow, dropped);
    }
    this.wantHandshake(peer);
    return NOT_DROPPED;
  }

  private wantHandshake(peer: number): void {
    const { memory, sink } = this.options;
    const flag = (memory.peer(peer) + PEER.handshakeWanted) >> 2;
    if (Atomics.exchange(memory.i32, flag, 1) === 0) sink.handshakeWanted(peer);
  }

  private setSendingKeypair(peer: number, slot: number): void {
    const { memory, lane } = this.options;
    this.sendingKeypair[peer] = slot;
    Atomics.store(memory.i32, (memory.lanePeer(lane, peer) + LANE_PEER.sendKeypair) >> 2, slot);
  }

  private sent(peer: number, bytes: number, packets: number, data: boolean, now: number): void {
    const { memory, lane } = this.options;
    const { f64 } = memory;
    const at = memory.lanePeer(lane, peer);
    this.add(peer, LANE_PEER.txBytes, bytes);
    this.add(peer, LANE_PEER.txPackets, packets);
    f64[(at + LANE_PEER.lastSentAt) >> 3] = now;
    if (data) f64[(at + LANE_PEER.lastDataSentAt) >> 3] = now;
  }

  private sentPackets(peer: number): number {
    const { memory, lane } = this.options;
    return memory.f64[(memory.lanePeer(lane, peer) + LANE_PEER.txPackets) >> 3]!;
  }

  private add(peer: number, field: number, count: number): void {
    const { memory, lane } = this.options;
    const index = (memory.lanePeer(lane, peer) + field) >> 3;
    memory.f64[index] = memory.f64[index]! + count;
  }

  /** A loop: at most 15 bytes, for which `fill` would cost more. */
  private zero(from: number, to: number): void {
    const { u8 } = this.options.memory;
    for (let at = from; at < to; at++) u8[at] = 0;
  }
}
