import { SLACK } from '../crypto/transport-aead.ts';
import { REJECT_AFTER_MESSAGES_HIGH, REJECT_AFTER_MESSAGES_LOW } from '../session/limits.ts';
import type { ReplayWindow } from '../session/replay-window.ts';
import { COOKIE_REPLY } from '../wire/cookie-reply.ts';
import { INITIATION } from '../wire/initiation.ts';
import { IPV4, IPV6, ipTotalLength } from '../wire/ip.ts';
import { MESSAGE_TYPE } from '../wire/message-type.ts';
import { RESPONSE } from '../wire/response.ts';
import { TRANSPORT_DATA } from '../wire/transport-data.ts';
import { Coalescer } from './coalesce.ts';
import { EndpointRules } from './endpoint-rules.ts';
import { letGoOfKey } from './key-holders.ts';
import { KeypairLookup } from './keypair-lookup.ts';
import { BUFFER, DROP, KEYPAIR, LANE_PEER, NONE, NOT_DROPPED } from './memory.ts';
import { clearEndpoint, endpointDiffers, writeEndpoint } from './peer-endpoint.ts';
import type { InboundOptions, InboundPath } from './sinks.ts';

/**
 * Inbound flow:
 * 1. A datagram, or several of one sender in one piece, comes from the UDP socket.
 * 2. Handshake messages branch off; the receiver index of transport data chooses the keypair.
 * 3. The packet is opened. Only then does it count: replay window, confirmation of the keypair,
 *    roaming of the endpoint, counters.
 * 4. The inner packet is cut to its own length; its source must be routed to this peer.
 * 5. It is written to the TUN device, together with the segments of its flow that come with it.
 */
export class Inbound implements InboundPath {
  private readonly options: InboundOptions;
  private readonly coalescer: Coalescer;
  private readonly endpointRules: EndpointRules;
  private readonly keypairs: KeypairLookup;
  /**
   * Keypair slots that this thread was told of and not yet told to forget: 1 + peer, 0 for none, so that
   * room which is not used is memory that is not touched.
   */
  private readonly ownerOfKeypair: Int32Array;
  /** No slot from here on has ever been used: control takes the lowest ones first. */
  private usedSlots = 0;
  /** Receiver index of each slot in the table. */
  private readonly indexOfKeypair: Int32Array;
  /** Keypair slots on which this thread has received something. */
  private readonly confirmed: Uint8Array;
  /** That of the keypair at hand. */
  private readonly window: ReplayWindow;
  /** Other threads ask the same windows. */
  private readonly sharesWindows: boolean;
  private readonly openedStart: number;
  private readonly openedEnd: number;
  /** Peer whose endpoint has been compared in the `receive` at hand: all its datagrams have one. */
  private comparedPeer = NONE;
  /** Of the transport data behind the datagram in work; length 0: there is none. */
  private nextKey = 0;
  private nextLow = 0;
  private nextHigh = 0;
  private nextLength = 0;
  /** Where the next packet is opened to; what lies before it is kept by the coalescer. */
  private opened: number;

  constructor(options: InboundOptions) {
    const { memory, thread } = options;
    this.options = options;
    this.coalescer = new Coalescer(options);
    this.endpointRules = new EndpointRules(memory, options.allowedIps);
    this.keypairs = new KeypairLookup(memory.layout.maxKeypairs);
    this.ownerOfKeypair = new Int32Array(memory.layout.maxKeypairs);
    this.indexOfKeypair = new Int32Array(memory.layout.maxKeypairs);
    this.confirmed = new Uint8Array(memory.layout.maxKeypairs);
    this.window = memory.replayWindow(0);
    this.sharesWindows = memory.layout.lanes > 1;
    this.openedStart = memory.buffers(thread) + BUFFER.opened;
    this.openedEnd = this.openedStart + BUFFER.openedLength;
    this.opened = this.openedStart;
  }

  receive(
    offset: number,
    length: number,
    segmentSize: number,
    endpointOffset: number,
    now: number,
  ): void {
    const { memory, thread, aead } = this.options;
    const end = offset + length;
    const step = segmentSize > 0 ? segmentSize : length;
    let at = offset;
    if (this.endpointRules.arrivedThroughTunnel(endpointOffset)) {
      memory.addDrops(thread, DROP.arrivedThroughTunnel, Math.max(1, Math.ceil(length / step)));
      return;
    }
    this.comparedPeer = NONE;
    // At least once: an empty datagram is one, too.
    do {
      const next = at + step;
      this.lookAhead(next, Math.min(step, end - next));
      const reason = this.datagram(at, Math.min(step, end - at), endpointOffset, now);
      if (reason !== NOT_DROPPED) memory.addDrops(thread, reason, 1);
      at = next;
    } while (at < end);
    aead.openEnd();
  }

  /** Finds out what the cipher can do beforehand for the datagram behind the present one, if there is one. */
  private lookAhead(offset: number, length: number): void {
    this.nextLength = 0;
    if (length <= TRANSPORT_DATA.overhead) return;
    const { memory } = this.options;
    const { view } = memory;
    if (view.getUint32(offset, true) !== MESSAGE_TYPE.transportData) return;
    const slot = this.keypairs.get(view.getInt32(offset + TRANSPORT_DATA.receiver, true));
    if (slot === NONE) return;
    this.nextKey = memory.keypair(slot) + KEYPAIR.receiveKey;
    this.nextLow = view.getUint32(offset + TRANSPORT_DATA.counterLow, true);
    this.nextHigh = view.getUint32(offset + TRANSPORT_DATA.counterHigh, true);
    this.nextLength = length - TRANSPORT_DATA.overhead;
  }

  flush(): void {
    this.coalescer.flush();
    this.opened = this.openedStart;
  }

  setCoalescing(tcp: boolean, udp: boolean): void {
    this.flush();
    this.coalescer.tcp = tcp && this.options.vnetHeader;
    this.coalescer.udp = udp && this.options.vnetHeader;
  }

  addTraffic(peer: number, bytes: number): void {
    this.add(peer, LANE_PEER.rxBytes, bytes);
  }

  addPeer(peer: number): void {
    const { memory, lane } = this.options;
    for (const field of [
      LANE_PEER.rxBytes,
      LANE_PEER.rxPackets,
      LANE_PEER.lastDataReceivedAt,
      LANE_PEER.lastReceivedAt,
    ] as const) {
      memory.f64[(memory.lanePeer(lane, peer) + field) >> 3] = 0;
    }
  }

  removePeer(peer: number): void {
    this.flush();
    for (let slot = 0; slot < this.usedSlots; slot++) {
      if (this.ownerOfKeypair[slot] === peer + 1) this.removeKeypair(slot);
    }
    this.options.allowedIps.removePeer(peer);
    clearEndpoint(this.options.memory, peer);
    this.comparedPeer = NONE; // whoever has this number next is another one
  }

  installKeypair(slot: number): void {
    const { memory, aead } = this.options;
    aead.openEnd();
    const keypair = memory.keypair(slot);
    this.confirmed[slot] = 0;
    this.usedSlots = Math.max(this.usedSlots, slot + 1);
    this.ownerOfKeypair[slot] = memory.u32[(keypair + KEYPAIR.peer) >> 2]! + 1;
    const index = memory.i32[(keypair + KEYPAIR.localIndex) >> 2]!;
    this.indexOfKeypair[slot] = index;
    this.keypairs.set(index, slot);
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
    if (this.ownerOfKeypair[slot] === 0) return;
    this.options.aead.openEnd(); // of a batch that is at hand
    this.ownerOfKeypair[slot] = 0;
    this.keypairs.delete(this.indexOfKeypair[slot]!);
    letGoOfKey(this.options.memory, slot, 'receive');
  }

  /** Steps 2 to 5; a DROP reason or NOT_DROPPED. */
  private datagram(offset: number, length: number, endpointOffset: number, now: number): number {
    if (length < TRANSPORT_DATA.overhead) return DROP.datagramTooShort;
    const type = this.options.memory.view.getUint32(offset, true);
    if (type === MESSAGE_TYPE.transportData) {
      return this.transportData(offset, length, endpointOffset, now);
    }
    const expected =
      type === MESSAGE_TYPE.initiation
        ? INITIATION.length
        : type === MESSAGE_TYPE.response
          ? RESPONSE.length
          : type === MESSAGE_TYPE.cookieReply
            ? COOKIE_REPLY.length
            : 0;
    if (length !== expected) return DROP.unknownMessageType;
    this.options.sink.handshake(offset, length, endpointOffset);
    return NOT_DROPPED;
  }

  private transportData(
    offset: number,
    length: number,
    endpointOffset: number,
    now: number,
  ): number {
    const { memory, aead, sink } = this.options;
    const { view, f64 } = memory;
    const slot = this.keypairs.get(view.getInt32(offset + TRANSPORT_DATA.receiver, true));
    if (slot === NONE) return DROP.unknownReceiverIndex;
    const low = view.getUint32(offset + TRANSPORT_DATA.counterLow, true);
    const high = view.getUint32(offset + TRANSPORT_DATA.counterHigh, true);
    const keypair = memory.keypair(slot);
    if (
      now >= f64[(keypair + KEYPAIR.rejectAt) >> 3]! ||
      (high === REJECT_AFTER_MESSAGES_HIGH && low >= REJECT_AFTER_MESSAGES_LOW)
    ) {
      return DROP.keypairExpired;
    }

    const padded = length - TRANSPORT_DATA.overhead;
    if (this.opened + padded + SLACK > this.openedEnd) this.flush();
    const packet = this.opened;
    const key = keypair + KEYPAIR.receiveKey;
    const source = offset + TRANSPORT_DATA.encryptedPacket;
    const { nextKey, nextLow, nextHigh, nextLength } = this;
    if (
      !aead.openBefore(
        key,
        low,
        high,
        packet,
        source,
        padded,
        nextKey,
        nextLow,
        nextHigh,
        nextLength,
      )
    ) {
      return DROP.authenticationFailed;
    }
    const { window } = this;
    window.moveTo(slot);
    const isNew = this.sharesWindows ? window.acceptShared(low, high) : window.accept(low, high);
    if (!isNew) return DROP.replayed;

    const peer = this.ownerOfKeypair[slot]! - 1;
    this.received(peer, keypair, length, padded > 0, now);
    if (peer !== this.comparedPeer) {
      this.comparedPeer = peer;
      if (endpointDiffers(memory, peer, endpointOffset)) this.roam(peer, endpointOffset);
    }
    if (this.confirmed[slot] === 0) {
      this.confirmed[slot] = 1;
      const confirmed = (keypair + KEYPAIR.confirmed) >> 2;
      if (Atomics.exchange(memory.i32, confirmed, 1) === 0) sink.keypairConfirmed(slot);
    }
    if (padded === 0) return NOT_DROPPED; // keepalive

    const total = ipTotalLength(view, packet, padded);
    if (total === 0) return DROP.innerMalformed;
    if (this.peerOfSource(packet) !== peer) return DROP.innerSourceNotAllowed;
    const kept = this.coalescer.write(packet, total);
    if (this.coalescer.isEmpty) this.opened = this.openedStart;
    // The next one goes behind it, aligned so that its header fields are.
    else if (kept) this.opened = (packet + total + 63) & ~63;
    return NOT_DROPPED;
  }

  private roam(peer: number, endpointOffset: number): void {
    const { memory, thread } = this.options;
    if (this.endpointRules.mayRoamTo(endpointOffset)) {
      writeEndpoint(memory, peer, endpointOffset);
    } else {
      memory.addDrops(thread, DROP.roamingRefused, 1);
    }
  }

  private peerOfSource(packet: number): number {
    const { memory, allowedIps } = this.options;
    return memory.u8[packet]! >>> 4 === 4
      ? allowedIps.lookup4(memory.view, packet + IPV4.source)
      : allowedIps.lookup6(memory.view, packet + IPV6.source);
  }

  private received(peer: number, keypair: number, bytes: number, data: boolean, now: number): void {
    const { memory, lane } = this.options;
    const { f64 } = memory;
    const at = memory.lanePeer(lane, peer);
    this.add(peer, LANE_PEER.rxBytes, bytes);
    this.add(peer, LANE_PEER.rxPackets, 1);
    f64[(keypair + KEYPAIR.lastReceivedAt) >> 3] = now;
    f64[(at + LANE_PEER.lastReceivedAt) >> 3] = now;
    if (data) f64[(at + LANE_PEER.lastDataReceivedAt) >> 3] = now;
  }

  private add(peer: number, field: number, count: number): void {
    const { memory, lane } = this.options;
    const index = (memory.lanePeer(lane, peer) + field) >> 3;
    memory.f64[index] = memory.f64[index]! + count;
  }
}
