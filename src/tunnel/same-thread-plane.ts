import type { AllowedIps } from '../datapath/allowedips.ts';
import { BUFFER, type PacketMemory } from '../datapath/memory.ts';
import { clearEndpoint } from '../datapath/peer-endpoint.ts';
import type { InboundPath, OutboundPath } from '../datapath/sinks.ts';
import type { DataPlane, NewKeypair, PeerActivity } from '../device/data-plane.ts';
import type { Endpoint } from '../wire/endpoint.ts';
import type { Prefix } from '../wire/prefix.ts';
import {
  clearHandshakeWanted,
  clearPeer,
  forgetNextKeypair,
  peerEndpoint,
  readActivity,
  setPeerEndpoint,
  settleNextKeypair,
  writeKeypair,
} from './slots-in-memory.ts';

/** Both halves of the data path in control's own thread: acknowledged before the call returns. */
export class SameThreadPlane implements DataPlane {
  /** Time of the event being handled, ms; the driver sets it before each call into the device. */
  now = 0;

  private readonly memory: PacketMemory;
  private readonly outbound: OutboundPath;
  private readonly inbound: InboundPath;
  private readonly allowedIps: AllowedIps;
  /** Where an endpoint is put together before it is written to a peer's slot. */
  private readonly endpointAt: number;

  constructor(
    memory: PacketMemory,
    outbound: OutboundPath,
    inbound: InboundPath,
    allowedIps: AllowedIps,
  ) {
    this.memory = memory;
    this.outbound = outbound;
    this.inbound = inbound;
    this.allowedIps = allowedIps;
    this.endpointAt = memory.buffers(0) + BUFFER.outboundDriver;
  }

  addPeer(peer: number): void {
    clearPeer(this.memory, peer);
    this.outbound.addPeer(peer);
    this.inbound.addPeer(peer);
  }

  removePeer(peer: number, done: () => void): void {
    this.outbound.removePeer(peer);
    this.inbound.removePeer(peer);
    clearEndpoint(this.memory, peer);
    done();
  }

  setEndpoint(peer: number, endpoint: Endpoint | undefined): void {
    setPeerEndpoint(this.memory, peer, this.endpointAt, endpoint);
  }

  getEndpoint(peer: number): Endpoint | undefined {
    return peerEndpoint(this.memory, peer, this.endpointAt);
  }

  allow(prefix: Prefix, peer: number): void {
    this.allowedIps.insert(prefix, peer);
  }

  disallow(prefix: Prefix): void {
    this.allowedIps.remove(prefix);
  }

  installKeypair(keypair: NewKeypair, done: () => void): void {
    writeKeypair(this.memory, keypair);
    this.outbound.installKeypair(keypair.slot);
    this.inbound.installKeypair(keypair.slot);
    done();
  }

  sendOn(peer: number, slot: number, confirm: boolean): void {
    clearHandshakeWanted(this.memory, peer);
    settleNextKeypair(this.memory, peer, slot);
    this.outbound.sendOn(peer, slot, confirm, this.now);
  }

  removeKeypair(slot: number, done: () => void): void {
    forgetNextKeypair(this.memory, slot);
    this.outbound.removeKeypair(slot);
    this.inbound.removeKeypair(slot);
    done();
  }

  acceptHandshakeRequests(peer: number): void {
    clearHandshakeWanted(this.memory, peer);
  }

  sendKeepalive(peer: number): void {
    this.outbound.keepalive(peer, this.now);
  }

  dropStaged(peer: number): void {
    this.outbound.dropStaged(peer);
  }

  addTraffic(peer: number, txBytes: number, rxBytes: number): void {
    this.outbound.addTraffic(peer, txBytes);
    this.inbound.addTraffic(peer, rxBytes);
  }

  activity(peer: number, into: PeerActivity): void {
    readActivity(this.memory, peer, into);
  }
}
