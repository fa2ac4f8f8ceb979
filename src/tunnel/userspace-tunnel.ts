import { randomBytes } from 'node:crypto';
import { defaultProvider } from '../crypto/select.ts';
import { defaultTransport } from '../crypto/transport-select.ts';
import { javascriptKernel } from '../datapath/checksum.ts';
import type { DeviceChange, DeviceStatus } from '../device/config.ts';
import { TunnelError } from '../device/tunnel-error.ts';
import { bootNow, monotonicNow } from '../ground/clock.ts';
import { SuspendDetector } from '../ground/suspend.ts';
import { PortableUdp } from '../io/portable/udp.ts';
import { type PacketListener, type PingOptions, VirtualTun } from '../io/portable/virtual-tun.ts';
import { parseAddress } from '../wire/address-text.ts';
import { machineAddresses } from './device-facts.ts';
import { openKeyLog } from './key-log.ts';
import {
  DEFAULT_MTU,
  initialChange,
  parseInterfaceAddress,
  type TunnelOptions,
} from './options.ts';
import type { Tunnel } from './tunnel.ts';
import { TunnelCore } from './tunnel-core.ts';

const SUSPEND_CHECK_MS = 1000;

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
  /** ICMP echo through the tunnel: round trip in ms, or undefined without an answer in time. */
  ping(address: string, options?: PingOptions): Promise<number | undefined>;
}

/** Opens it. Rejects with a `TunnelError`. */
export async function openUserspaceTunnel(options: TunnelOptions): Promise<UserspaceTunnel> {
  const change = initialChange(options);
  const tunnel = new DgramTunnel(options);
  try {
    await tunnel.configure(change);
    if (tunnel.listenPort === 0) await tunnel.listen(0);
  } catch (error) {
    await tunnel.close();
    throw error;
  }
  return tunnel;
}

class DgramTunnel implements UserspaceTunnel {
  readonly name: string;
  readonly mode = 'userspace';
  readonly closed: Promise<Error | undefined>;

  private readonly core: TunnelCore;
  private readonly tun: VirtualTun;
  private readonly suspend = new SuspendDetector();
  private readonly suspendTimer: NodeJS.Timeout;
  private udp: PortableUdp | undefined;
  private timer: NodeJS.Timeout | undefined;
  private timerAt = Number.POSITIVE_INFINITY;
  private isClosed = false;
  private settleClosed: (error: Error | undefined) => void = () => {};

  constructor(options: TunnelOptions) {
    this.name = options.name ?? 'wg0';
    this.closed = new Promise((settle) => {
      this.settleClosed = settle;
    });
    this.tun = new VirtualTun({
      addresses: (options.addresses ?? []).map(
        (text, i) => parseInterfaceAddress(`addresses[${i}]`, text).address,
      ),
      transmit: (packet) => this.send(packet),
    });
    const transport = defaultTransport(options.log ?? console.warn);
    this.core = new TunnelCore({
      crypto: defaultProvider(),
      random: (length) => new Uint8Array(randomBytes(length)),
      aead: transport.aead,
      kernel: transport.memoryKernel ?? javascriptKernel,
      bootClock: bootNow,
      wallClock: Date.now,
      mtu: options.mtu ?? DEFAULT_MTU,
      ...(options.requirePsk === undefined ? {} : { requirePsk: options.requirePsk }),
      ...(options.rotation === undefined ? {} : { rotation: options.rotation }),
      localAddresses: machineAddresses,
      keyLog: openKeyLog(options.log ?? console.warn),
      output: {
        sendDatagram: (datagram, endpoint) => this.udp?.send(datagram, endpoint),
        deliver: (packet) => this.tun.receive(packet),
      },
    });
    this.suspendTimer = setInterval(() => {
      if (this.suspend.hasSlept()) this.core.expireAllSessions(monotonicNow());
    }, SUSPEND_CHECK_MS);
    this.suspendTimer.unref();
  }

  async configure(change: DeviceChange): Promise<void> {
    this.assertOpen();
    this.core.configure(change, monotonicNow());
    this.poll();
    if (change.listenPort !== undefined && change.listenPort !== this.udp?.port) {
      await this.listen(change.listenPort);
    }
  }

  /** Moves to another UDP port; the old socket stays if the new one cannot be had. */
  async listen(port: number): Promise<void> {
    const before = this.udp;
    try {
      this.udp = await PortableUdp.open(port, (datagram, source) => {
        this.core.receiveDatagram(datagram, source, monotonicNow());
        if (this.core.needsPoll) this.poll();
      });
    } catch (error) {
      const inUse = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
      throw new TunnelError(
        inUse ? 'address_in_use' : 'system_call_failed',
        `listenPort ${port}: ${(error as Error).message}`,
        { cause: error },
      );
    }
    this.core.port = this.udp.port;
    await before?.close();
  }

  status(): DeviceStatus {
    const { device } = this.core;
    const drops = this.core.drops();
    if (this.udp && this.udp.sendFailures > 0) {
      drops.udpSendFailed = (drops.udpSendFailed ?? 0) + this.udp.sendFailures;
    }
    return {
      privateKey: device.privateKey,
      publicKey: device.publicKey,
      listenPort: this.listenPort,
      fwmark: 0,
      peers: device.peerStatus(),
      drops,
      handshakesDatedUntil: device.handshakesDatedUntil,
    };
  }

  extendLease(until: number): void {
    this.assertOpen();
    this.core.extendLease(until, monotonicNow());
    this.poll();
  }

  async expireKeypairs(before: number): Promise<void> {
    this.assertOpen();
    this.core.expireKeypairs(before, monotonicNow());
    this.poll();
  }

  send(packet: Uint8Array): void {
    if (this.isClosed) return;
    this.core.sendPacket(packet, monotonicNow());
    if (this.core.needsPoll) this.poll();
  }

  get publicKey(): string {
    return this.core.device.publicKey?.toBase64() ?? '';
  }

  get listenPort(): number {
    return this.udp?.port ?? 0;
  }

  onPacket(listener: PacketListener): () => void {
    return this.tun.onPacket(listener);
  }

  echoUdp(port: number): () => void {
    return this.tun.echoUdp(port);
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

  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    this.tun.close();
    clearTimeout(this.timer);
    clearInterval(this.suspendTimer);
    this.core.configure({ replacePeers: true, privateKey: new Uint8Array(32) }, monotonicNow());
    await this.udp?.close();
    this.settleClosed(undefined);
  }

  /** Lets the core act on handshakes and timers, until nothing is left that is due now. */
  private poll(): void {
    if (this.isClosed) return;
    this.core.poll(monotonicNow());
    const now = monotonicNow();
    const at = this.core.nextPoll(now);
    if (at >= this.timerAt) return;
    clearTimeout(this.timer);
    this.timerAt = at;
    this.timer = setTimeout(
      () => {
        this.timerAt = Number.POSITIVE_INFINITY;
        this.poll();
      },
      Math.max(0, Math.ceil(at - now)),
    );
  }

  private assertOpen(): void {
    if (this.isClosed) throw new TunnelError('closed', `tunnel ${this.name} is closed`);
  }
}
