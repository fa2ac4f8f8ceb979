import type { CryptoProvider, RandomBytes } from '../crypto/provider.ts';
import type { TransportAeadFactory } from '../crypto/transport-aead.ts';
import { AllowedIps } from '../datapath/allowedips.ts';
import type { MemoryKernelFactory } from '../datapath/checksum.ts';
import { EndpointRules } from '../datapath/endpoint-rules.ts';
import { Inbound } from '../datapath/inbound.ts';
import { Lease } from '../datapath/lease.ts';
import { BUFFER, DROP, type MemoryLayout, PacketMemory } from '../datapath/memory.ts';
import { Outbound } from '../datapath/outbound.ts';
import { readEndpoint } from '../datapath/peer-endpoint.ts';
import type { InboundSink, OutboundSink } from '../datapath/sinks.ts';
import type { DeviceChange } from '../device/config.ts';
import { Device } from '../device/device.ts';
import { HandshakeLoad } from '../device/handshake-load.ts';
import type { HandshakeSecrets } from '../device/handshakes.ts';
import type { RotationSettings } from '../device/rotation.ts';
import type { DatagramCarrier, DatagramPort, DeviceState } from '../io/ports.ts';
import { decodeEndpoint, type Endpoint, encodeEndpoint } from '../wire/endpoint.ts';
import type { Prefix } from '../wire/prefix.ts';
import { DeviceFacts } from './device-facts.ts';
import { countDrops, type Engine, KEYPAIRS_PER_PEER, writePort } from './engine.ts';
import { SameThreadPlane } from './same-thread-plane.ts';

/** Own tuning: packets shorter than this are delivered in views that are kept. */
const MOST_VIEWS = 2048;

/** The outside of a tunnel core. Arrays are views, valid until the call returns. */
export interface TunnelCoreOutput {
  /** One datagram, or a batch of them as {@link DatagramCarrier} describes it. */
  sendDatagrams(batch: Uint8Array, segmentSize: number, endpoint: Endpoint): void;
  /** A decrypted IP packet from a peer. */
  deliver(packet: Uint8Array): void;
}

export interface TunnelCoreOptions {
  readonly crypto: CryptoProvider;
  readonly random: RandomBytes;
  readonly aead: TransportAeadFactory;
  readonly kernel: MemoryKernelFactory;
  readonly output: TunnelCoreOutput;
  /** Wall clock, ms since 1970. */
  readonly wallClock: () => number;
  /** Seconds since boot, for leases. Default: the time that is passed in. */
  readonly bootClock?: () => number;
  readonly mtu: number;
  /** Default 1024. */
  readonly maxPeers?: number;
  readonly requirePsk?: boolean;
  readonly rotation?: RotationSettings;
  readonly onHandshake?: (publicKey: Uint8Array, generation: number) => void;
  /** For debugging: told the secrets of every handshake. */
  readonly keyLog?: ((secrets: HandshakeSecrets) => void) | undefined;
  /** Addresses of this machine with their networks' prefix lengths. Default: none known. */
  readonly localAddresses?: () => readonly Prefix[];
}

/**
 * Device and data path in one thread, still without I/O: datagrams, packets and time in,
 * datagrams and packets out. What userspace mode runs on, and what simulations run.
 */
export class TunnelCore implements Engine {
  readonly device: Device;
  /** A handshake message waits, or something happened that sets timers: call `poll` now. */
  needsPoll = false;

  private readonly options: TunnelCoreOptions;
  private readonly memory: PacketMemory;
  private readonly lease: Lease;
  private readonly outbound: Outbound;
  private readonly inbound: Inbound;
  private readonly endpointRules: EndpointRules;
  private readonly plane: SameThreadPlane;
  /** The data path must not be called from within its own events: they wait here. */
  private readonly events: (() => void)[] = [];
  private readonly packetAt: number;
  private readonly datagramAt: number;
  private readonly endpointAt: number;
  /** By their length. */
  private readonly views = new Array<Uint8Array | undefined>(MOST_VIEWS);
  private now = 0;
  private interfaceUp = true;

  constructor(options: TunnelCoreOptions) {
    this.options = options;
    const maxPeers = options.maxPeers ?? 1024;
    const layout: MemoryLayout = {
      maxPeers,
      maxKeypairs: maxPeers * KEYPAIRS_PER_PEER,
      threads: 1,
      lanes: 1,
    };
    this.memory = new PacketMemory(layout);
    this.lease = new Lease(this.memory, options.bootClock ?? (() => this.now / 1000));
    const allowedIps = new AllowedIps();
    const parts = {
      memory: this.memory,
      thread: 0,
      lane: 0,
      aead: options.aead(this.memory.memory, this.memory.scratch(0)),
      kernel: options.kernel(this.memory.memory),
      allowedIps,
    };
    this.outbound = new Outbound({ ...parts, mtu: options.mtu, sink: this.outboundSink() });
    this.inbound = new Inbound({
      ...parts,
      sink: this.inboundSink(),
      memoryAddress: 0,
      vnetHeader: false,
      coalesceTcp: false,
      coalesceUdp: false,
    });
    this.plane = new SameThreadPlane(this.memory, this.outbound, this.inbound, allowedIps);
    this.endpointRules = new EndpointRules(this.memory, allowedIps);
    this.device = new Device({
      ...options,
      local: new DeviceFacts(this.memory, allowedIps, options.localAddresses ?? (() => [])),
      plane: this.plane,
      maxPeers,
      maxKeypairs: layout.maxKeypairs,
      load: new HandshakeLoad(),
      send: (message, endpoint) => options.output.sendDatagrams(message, message.length, endpoint),
    });
    this.packetAt = this.memory.buffers(0) + BUFFER.packet;
    this.datagramAt = this.memory.buffers(0) + BUFFER.datagrams;
    this.endpointAt = this.memory.buffers(0) + BUFFER.inboundDriver;
  }

  /** Throws a `TunnelError` if the change is invalid; it is in force when this returns. */
  configure(change: DeviceChange, now: number, done: () => void = () => {}): void {
    this.enter(now);
    this.needsPoll = true;
    this.device.configure(change, now, done);
    this.settle();
  }

  expireKeypairs(before: number, now: number, done: () => void = () => {}): void {
    this.enter(now);
    this.needsPoll = true; // there may be handshakes to start
    this.device.expireKeypairs(before, now, done);
    this.settle();
  }

  expireAllSessions(now: number): void {
    this.enter(now);
    this.device.expireAllSessions(now);
    this.settle();
  }

  /**
   * Sends an IP packet into the tunnel: it leaves at the next `flush`, or before. Longer than 65,535 bytes:
   * dropped and counted.
   */
  sendPacket(packet: Uint8Array, now: number): void {
    this.enter(now);
    if (packet.length >= BUFFER.packetLength) {
      this.memory.addDrops(0, DROP.tooLarge, 1);
    } else {
      this.memory.u8.set(packet, this.packetAt);
      this.outbound.send(this.packetAt, packet.length, false, now);
    }
    this.settle();
  }

  /** Packets that were sent leave now: together, as far as they go to one peer and are of one length. */
  flush(): void {
    this.outbound.flush();
  }

  /** One datagram that came in over UDP, or a batch of them as {@link DatagramCarrier} describes it. */
  receiveDatagrams(batch: Uint8Array, segmentSize: number, source: Endpoint, now: number): void {
    if (batch.length > BUFFER.datagramsLength) {
      this.memory.addDrops(0, DROP.udpTruncated, 1); // no UDP socket delivers such a one
      return;
    }
    this.enter(now);
    this.memory.u8.set(batch, this.datagramAt);
    encodeEndpoint(this.memory.u8, this.endpointAt, source);
    this.inbound.receive(this.datagramAt, batch.length, segmentSize, this.endpointAt, now);
    this.inbound.flush();
    this.settle();
  }

  /** Acts on handshakes and timers. Call it when `needsPoll` is set and at `nextPoll`. */
  poll(now: number): void {
    this.enter(now);
    this.needsPoll = false;
    this.device.poll(now);
    this.settle();
  }

  nextPoll(now: number): number {
    return this.device.nextPoll(now);
  }

  deviceChanged({ mtu, up }: Pick<DeviceState, 'mtu' | 'up'>, now: number): void {
    this.enter(now);
    this.outbound.mtu = mtu;
    this.interfaceUp = up;
    this.updateUp();
    this.settle();
  }

  portChanged(port: Pick<DatagramPort, 'port' | 'fwmark'>): void {
    writePort(this.memory, port);
  }

  drops(): Record<string, number> {
    return countDrops(this.memory, this.device.rejects);
  }

  /** Everything has been carried out when a call returns. */
  async settled(): Promise<void> {}

  async close(now: number): Promise<void> {
    this.configure({ replacePeers: true, privateKey: new Uint8Array(32) }, now);
  }

  extendLease(until: number, now: number): void {
    this.lease.extend(until);
    this.enter(now);
    this.updateUp();
    this.needsPoll = true;
    this.settle();
  }

  private enter(now: number): void {
    this.now = now;
    this.plane.now = now;
    if (!this.lease.isOver(now)) return;
    this.outbound.removeAllKeypairs();
    this.inbound.removeAllKeypairs();
    this.updateUp();
  }

  /** When the lease is over there are no handshakes either, until it is extended. */
  private updateUp(): void {
    this.device.setUp(this.interfaceUp && !this.lease.isOut, this.now);
  }

  private settle(): void {
    for (let event = this.events.shift(); event !== undefined; event = this.events.shift()) {
      event();
      this.needsPoll = true;
    }
  }

  /** Packets are opened to the same place as a rule: views are made once for a length. */
  private viewOf(offset: number, length: number): Uint8Array {
    const known = this.views[length];
    if (known?.byteOffset === offset) return known;
    const view = this.memory.u8.subarray(offset, offset + length);
    if (length < this.views.length) this.views[length] = view;
    return view;
  }

  private outboundSink(): OutboundSink {
    return {
      sendDatagrams: (peer, offset, length, segmentSize) => {
        const { u8 } = this.memory;
        // Not the plane's place: it may be in use while a staged packet leaves.
        const at = this.memory.buffers(0) + BUFFER.outboundDriver + 64;
        if (!readEndpoint(this.memory, peer, at)) {
          this.memory.addDrops(0, DROP.noEndpoint, Math.ceil(length / segmentSize));
          return;
        }
        if (this.endpointRules.isRoutedIntoTunnel(at)) {
          this.memory.addDrops(0, DROP.endpointInTunnel, Math.ceil(length / segmentSize));
          return;
        }
        const batch = u8.subarray(offset, offset + length);
        this.options.output.sendDatagrams(batch, segmentSize, decodeEndpoint(u8, at)!);
      },
      handshakeWanted: (peer) => {
        this.events.push(() => this.device.handshakeWanted(peer, this.now));
      },
    };
  }

  private inboundSink(): InboundSink {
    return {
      handshake: (offset, length, endpointOffset) => {
        this.needsPoll = true;
        const message = new Uint8Array(this.memory.u8.subarray(offset, offset + length));
        this.device.receive(message, decodeEndpoint(this.memory.u8, endpointOffset)!);
      },
      writePacket: (iovecs, _count, length) => {
        const offset = Number(this.memory.view.getBigUint64(iovecs, true));
        this.options.output.deliver(this.viewOf(offset, length));
      },
      // At once, before the packet is delivered: an answer that is given while it is must not be
      // sealed for a peer that is no more. It only concerns the outbound half.
      keypairConfirmed: (slot) => {
        this.needsPoll = true;
        this.device.keypairConfirmed(slot, this.now);
      },
    };
  }
}
