import { randomBytes } from 'node:crypto';
import { defaultProvider } from '../crypto/select.ts';
import { defaultTransport } from '../crypto/transport-select.ts';
import { javascriptKernel } from '../datapath/checksum.ts';
import { bootNow, monotonicNow } from '../ground/clock.ts';
import { PortableUdpPort } from '../io/portable/udp-port.ts';
import {
  type PacketListener,
  type PingOptions,
  type UdpListener,
  type UdpSocket,
  VirtualTun,
} from '../io/portable/virtual-tun.ts';
import type { DatagramCarrier, PacketDevice } from '../io/ports.ts';
import { parseAddress } from '../wire/address-text.ts';
import { machineAddresses } from './device-facts.ts';
import { DrivenTunnel } from './driver.ts';
import { openKeyLog } from './key-log.ts';
import {
  DEFAULT_MTU,
  initialChange,
  maxPeersOf,
  parseInterfaceAddress,
  type TunnelOptions,
} from './options.ts';
import { type Tunnel, TunnelError } from './tunnel.ts';
import { TunnelCore } from './tunnel-core.ts';

/** A tunnel inside this process: IP packets go in and come out as arrays, on any OS, without root. */
export interface UserspaceTunnel extends Tunnel {
  /** Base64; empty without a private key. */
  readonly publicKey: string;
  readonly listenPort: number;
  /** Sends one IP packet (copied). Packets to nobody are dropped and counted. */
  send(packet: Uint8Array): void;
  /**
   * Called for every IP packet from a peer that is not answered here; the array is a view, valid
   * during the call only. Returns a function that stops it.
   */
  onPacket(listener: PacketListener): () => void;
  /** Answers UDP datagrams to `port` of this side with what they carry. */
  echoUdp(port: number): () => void;
  /** A UDP port of this side, whose datagrams go to `listener`. Throws a `RangeError` if it is taken. */
  bindUdp(port: number, listener: UdpListener): UdpSocket;
  /** ICMP echo through the tunnel: round trip in ms, or undefined without an answer in time. */
  ping(address: string, options?: PingOptions): Promise<number | undefined>;
}

/** Opens it. Rejects with a `TunnelError`. */
export async function openUserspaceTunnel(options: TunnelOptions): Promise<UserspaceTunnel> {
  const { listenPort = 0, fwmark, ...rest } = initialChange(options);
  const tun = new VirtualTun({
    name: options.name ?? 'wg0',
    mtu: options.mtu ?? DEFAULT_MTU,
    addresses: (options.addresses ?? []).map(
      (text, i) => parseInterfaceAddress(`addresses[${i}]`, text).address,
    ),
  });
  const udp = await datagramPort();
  const tunnel = new InProcessTunnel(
    options,
    tun,
    options.device?.(tun) ?? tun,
    options.port?.(udp) ?? udp,
  );
  try {
    // The socket first: with peers there are handshake messages to be sent.
    await tunnel.configure({ listenPort, ...(fwmark === undefined ? {} : { fwmark }) });
    await tunnel.configure(rest);
  } catch (error) {
    await tunnel.close();
    throw error;
  }
  return tunnel;
}

/** On system calls where they can be made, else on node:dgram. */
async function datagramPort(): Promise<DatagramCarrier> {
  if (process.platform !== 'linux') return new PortableUdpPort();
  const { cannotWatch } = await import('../io/linux/readable-watch.ts');
  if (cannotWatch() !== undefined) return new PortableUdpPort();
  const { BatchingUdpPort } = await import('../io/linux/batching-udp-port.ts');
  return new BatchingUdpPort();
}

class InProcessTunnel extends DrivenTunnel implements UserspaceTunnel {
  readonly mode = 'userspace';
  private readonly core: TunnelCore;
  private readonly tun: VirtualTun;
  private readonly carrier: DatagramCarrier;
  /** What is sent in one turn of the event loop leaves together at its end. */
  private flushing: NodeJS.Immediate | undefined;

  constructor(
    options: TunnelOptions,
    tun: VirtualTun,
    device: PacketDevice,
    carrier: DatagramCarrier,
  ) {
    const log = options.log ?? console.warn;
    const transport = defaultTransport(log);
    const core = new TunnelCore({
      crypto: defaultProvider(),
      random: (length) => new Uint8Array(randomBytes(length)),
      aead: transport.aead,
      kernel: transport.memoryKernel ?? javascriptKernel,
      bootClock: bootNow,
      wallClock: Date.now,
      mtu: device.state.mtu,
      maxPeers: maxPeersOf(options.maxPeers),
      ...(options.requirePsk === undefined ? {} : { requirePsk: options.requirePsk }),
      ...(options.rotation === undefined ? {} : { rotation: options.rotation }),
      localAddresses: machineAddresses,
      keyLog: openKeyLog(log),
      output: {
        sendDatagrams: (batch, segmentSize, to) => carrier.send(batch, segmentSize, to),
        deliver: (packet) => device.deliver(packet),
      },
    });
    super(core, device, carrier);
    this.core = core;
    this.tun = tun;
    this.carrier = carrier;
    device.connect((packet) => {
      if (!this.isOpen) return;
      core.sendPacket(packet, monotonicNow());
      this.flushing ??= setImmediate(() => {
        this.flushing = undefined;
        core.flush();
      });
      if (core.needsPoll) this.schedulePoll();
    });
    carrier.connect((batch, segmentSize, source) => {
      if (!this.isOpen) return;
      core.receiveDatagrams(batch, segmentSize, source, monotonicNow());
      if (core.needsPoll) this.schedulePoll();
    });
  }

  send(packet: Uint8Array): void {
    this.tun.send(packet);
  }

  get publicKey(): string {
    return this.core.device.publicKey?.toBase64() ?? '';
  }

  get listenPort(): number {
    return this.carrier.port;
  }

  onPacket(listener: PacketListener): () => void {
    return this.tun.onPacket(listener);
  }

  echoUdp(port: number): () => void {
    return this.tun.echoUdp(port);
  }

  bindUdp(port: number, listener: UdpListener): UdpSocket {
    return this.tun.bindUdp(port, listener);
  }

  async ping(address: string, options?: PingOptions): Promise<number | undefined> {
    const destination = parseAddress(address);
    if (destination === undefined) {
      throw new TunnelError(
        'invalid_argument',
        `address: ${JSON.stringify(address)} is no IP address`,
      );
    }
    return this.tun.ping(destination, options);
  }
}
