import { randomBytes } from 'node:crypto';
import type { CryptoProvider, RandomBytes } from '../../crypto/provider.ts';
import { defaultProvider } from '../../crypto/select.ts';
import { defaultTransport } from '../../crypto/transport-select.ts';
import { Lease } from '../../datapath/lease.ts';
import {
  BUFFER,
  DEVICE,
  DROP,
  DROP_REASONS,
  type MemoryLayout,
  PacketMemory,
} from '../../datapath/memory.ts';
import type { DeviceChange, DeviceStatus } from '../../device/config.ts';
import { Device } from '../../device/device.ts';
import type { RotationSettings } from '../../device/rotation.ts';
import { bootNow, monotonicNow } from '../../ground/clock.ts';
import { SuspendDetector } from '../../ground/suspend.ts';
import { DatagramSender } from '../../io/linux/datagrams.ts';
import type { Link, LinkState } from '../../io/linux/netlink.ts';
import { NativeBuffer } from '../../io/linux/syscalls.ts';
import type { Tun } from '../../io/linux/tun.ts';
import type { UdpSocket } from '../../io/linux/udp.ts';
import { decodeEndpoint, type Endpoint, encodeEndpoint } from '../../wire/endpoint.ts';
import { DeviceFacts, machineAddresses } from '../device-facts.ts';
import { openKeyLog } from '../key-log.ts';
import { type Tunnel, TunnelError } from '../tunnel.ts';
import { DataWorkers } from './data-workers.ts';
import { explain } from './explain.ts';
import { controlThread, type Report, threadCount } from './messages.ts';
import { offloadNames } from './offloads.ts';
import { isSourceError } from './outbound-sink.ts';
import { WorkerDataPlane } from './worker-data-plane.ts';

/** Own tuning: the sending keypair, eight received on, and room for changes under way. */
const KEYPAIRS_PER_PEER = 10;
const DEFAULT_MAX_PEERS = 4096;
/** The longest a timer sleeps (ms), so that a suspend is noticed soon after the resume. */
const MAX_SLEEP = 1000;
/** How often an interface is looked at that sends no events (ms). */
const BLIND_INTERVAL = 1000;

export interface LinuxTunnelSettings {
  /** Default 4096. */
  readonly maxPeers?: number;
  /** Batches of datagrams leave in one call (UDP_SEGMENT). Default true. */
  readonly udpSegmentation?: boolean;
  readonly requirePsk?: boolean;
  readonly rotation?: RotationSettings;
  /** Defaults: the fastest there is, the system's randomness, Date.now. */
  readonly crypto?: CryptoProvider;
  readonly random?: RandomBytes;
  readonly wallClock?: () => number;
  /** Called when a handshake was completed in either role. */
  readonly onHandshake?: (publicKey: Uint8Array, generation: number) => void;
  /** What an operator should know: offloads refused, an interface that cannot be followed. */
  readonly log?: (message: string) => void;
}

/** What moves the packets, for status and logs. */
export interface DataPathDescription {
  readonly aead: string;
  readonly kernel: string;
  /** Offloads in use: 'tun-tcp', 'tun-udp', 'udp-segment', 'udp-gro'. */
  readonly offloads: readonly string[];
  /** Outbound workers, and inbound workers. */
  readonly workerPairs: number;
}

/**
 * What a tunnel takes over and closes at its end. It has as many pairs of workers as the device has
 * queues, and so many sockets, too.
 */
export interface Resources {
  readonly tun: Tun;
  readonly link: Link;
  readonly udp: UdpSocket;
}

/** A running tunnel on Linux. Made by {@link openLinuxTunnel}. */
export class LinuxTunnel implements Tunnel {
  readonly mode = 'linux';
  readonly closed: Promise<Error | undefined>;

  private readonly options: LinuxTunnelSettings;
  private readonly tun: Tun;
  private readonly link: Link;
  private readonly udp: UdpSocket;
  private readonly memory: PacketMemory;
  private readonly lease: Lease;
  private readonly workers: DataWorkers;
  private readonly plane: WorkerDataPlane;
  private readonly device: Device;
  private readonly sender: DatagramSender;
  private readonly messageAt: number;
  private readonly watched = { fd: -1 };
  private readonly udpSegmentation: boolean;
  private settleClosed: (error: Error | undefined) => void = () => {};
  private state: LinkState;
  private aead = '';
  private kernel = '';
  private readonly refused = new Set<string>();
  private refreshedAt = 0;
  private timer: NodeJS.Timeout | undefined;
  private pollPending = false;
  private readonly suspend = new SuspendDetector();
  private ending: Promise<void> | undefined;

  constructor(options: LinuxTunnelSettings, { tun, link, udp }: Resources, state: LinkState) {
    this.options = options;
    this.tun = tun;
    this.link = link;
    this.udp = udp;
    this.state = state;
    this.udpSegmentation = options.udpSegmentation ?? true;
    this.closed = new Promise((resolve) => {
      this.settleClosed = resolve;
    });
    const maxPeers = options.maxPeers ?? DEFAULT_MAX_PEERS;
    const lanes = tun.fds.length;
    const threads = threadCount(lanes);
    const layout: MemoryLayout = {
      maxPeers: Math.max(maxPeers, threads), // each thread warms up on a slot of its own
      maxKeypairs: Math.max(maxPeers * KEYPAIRS_PER_PEER, threads),
      threads,
      lanes,
    };
    this.memory = new PacketMemory(layout);
    this.lease = new Lease(this.memory, bootNow);
    const transport = defaultTransport((message) => options.log?.(message));
    this.workers = new DataWorkers({
      setup: {
        layout,
        memory: this.memory.memory,
        udpFamily: udp.family,
        mtu: state.mtu,
        aead: transport.name,
        kernelModule: transport.module,
        vnetHeader: tun.offloads.vnetHeader,
        coalesceTcp: tun.offloads.tcp,
        coalesceUdp: tun.offloads.udp,
        udpSegmentation: this.udpSegmentation,
      },
      lanes: tun.fds.map((tunFd, lane) => ({ tunFd, udpFd: udp.fds[lane]! })),
      onReport: (thread, report) => this.reported(thread, report),
      onCrash: (error) => void this.end(error),
    });
    this.plane = new WorkerDataPlane(this.memory, (thread, batch) => {
      this.workers.post(thread, batch);
    });
    const native = new NativeBuffer(this.memory.memory.buffer as unknown as SharedArrayBuffer);
    const buffers = this.memory.buffers(controlThread(lanes));
    this.sender = new DatagramSender(udp.fd, udp.family, native, buffers + BUFFER.inboundDriver);
    this.messageAt = buffers + BUFFER.packet;
    this.device = new Device({
      ...options,
      crypto: options.crypto ?? defaultProvider(),
      random: options.random ?? ((length) => new Uint8Array(randomBytes(length))),
      wallClock: options.wallClock ?? Date.now,
      plane: this.plane,
      maxPeers,
      maxKeypairs: maxPeers * KEYPAIRS_PER_PEER,
      send: (message, endpoint) => this.sendMessage(message, endpoint),
      keyLog: openKeyLog(options.log ?? console.warn),
      local: new DeviceFacts(this.memory, this.plane.allowedIps, machineAddresses),
    });
    this.tellWorkers();
    this.device.setUp(state.up, monotonicNow());
  }

  /** Starts the data workers. */
  async start(): Promise<void> {
    await this.workers.start();
    this.watchLink();
    this.refreshLink(); // what happened before somebody watched
    this.schedulePoll();
  }

  get name(): string {
    return this.state.name;
  }

  get mtu(): number {
    return this.state.mtu;
  }

  get isUp(): boolean {
    return this.state.up;
  }

  describe(): DataPathDescription {
    const { tcp, udp } = this.tun.offloads;
    return {
      aead: this.aead,
      kernel: this.kernel,
      offloads: offloadNames({
        tunTcp: tcp && !this.refused.has('coalescing'),
        tunUdp: udp && !this.refused.has('coalescing'),
        udpSegmentation: this.udpSegmentation && !this.refused.has('UDP_SEGMENT'),
        udpGro: this.udp.gro,
      }),
      workerPairs: this.tun.fds.length,
    };
  }

  /**
   * Runs `body`, which must be synchronous, in the interface's network namespace: sockets that it
   * opens belong there. Throws a SystemCallError where that namespace cannot be entered.
   */
  inNamespace<T>(body: () => T): T {
    this.mustBeOpen();
    return this.link.inNamespace(body);
  }

  async configure(change: DeviceChange): Promise<void> {
    this.mustBeOpen();
    const { udp } = this;
    const { listenPort, fwmark } = change;
    const fwmarkBefore = udp.fwmark;
    let port: ReturnType<UdpSocket['preparePort']> | undefined;
    const done = Promise.withResolvers<void>();
    try {
      // The device checks the change and applies it at once, so what else can fail comes first.
      if (fwmark !== undefined && fwmark !== fwmarkBefore) udp.setFwmark(fwmark);
      if (listenPort !== undefined && (listenPort === 0 || listenPort !== udp.port)) {
        port = udp.preparePort(listenPort);
      }
      this.device.configure(change, monotonicNow(), done.resolve);
    } catch (error) {
      port?.cancel();
      if (udp.fwmark !== fwmarkBefore) udp.setFwmark(fwmarkBefore);
      throw explain(error);
    }
    port?.commit();
    this.tellWorkers();
    this.schedulePoll();
    await done.promise;
    await this.settled(); // allowed-ips are in force, and nobody waits on the old port
  }

  extendLease(until: number): void {
    this.mustBeOpen();
    this.lease.extend(until);
    this.device.setUp(this.state.up && !this.lease.isOut, monotonicNow());
    this.schedulePoll();
  }

  status(): DeviceStatus {
    const drops: Record<string, number> = { ...this.device.rejects };
    for (const reason of DROP_REASONS) drops[reason] = this.memory.drops(reason);
    return {
      privateKey: this.device.privateKey,
      publicKey: this.device.publicKey,
      listenPort: this.udp.port,
      fwmark: this.udp.fwmark,
      peers: this.device.peerStatus(),
      handshakesDatedUntil: this.device.handshakesDatedUntil,
      drops: Object.fromEntries(Object.entries(drops).filter(([, count]) => count > 0)),
    };
  }

  async expireKeypairs(before: number): Promise<void> {
    this.mustBeOpen();
    const done = Promise.withResolvers<void>();
    this.device.expireKeypairs(before, monotonicNow(), done.resolve);
    this.schedulePoll();
    await done.promise;
  }

  async close(): Promise<void> {
    await this.end(undefined);
  }

  private mustBeOpen(): void {
    if (this.ending !== undefined) throw new TunnelError('closed', 'the tunnel is closed');
  }

  /** Resolves when all workers have carried out what they were told so far. */
  private settled(): Promise<void> {
    return new Promise((resolve) => this.plane.settled(resolve));
  }

  /** Stops the threads, then wipes the keys, then gives everything back. */
  private end(error: Error | undefined): Promise<void> {
    this.ending ??= (async () => {
      clearTimeout(this.timer);
      await this.workers.stop();
      this.plane.close();
      const { memory, device } = this;
      device.configure({ privateKey: new Uint8Array(32), replacePeers: true }, monotonicNow());
      memory.u8.fill(0, memory.keypair(0), memory.keypair(memory.layout.maxKeypairs));
      this.udp.close();
      this.link.close();
      this.tun.close();
      this.settleClosed(error);
    })();
    return this.ending;
  }

  private reported(thread: number, report: Report): void {
    if (this.ending !== undefined) return;
    switch (report.report) {
      case 'ready':
        this.aead = report.aead;
        this.kernel = report.kernel;
        break;
      case 'done':
        this.plane.acknowledged(thread, report.number);
        break;
      case 'handshakeWanted':
        this.device.handshakeWanted(report.peer, monotonicNow());
        break;
      case 'keypairConfirmed':
        this.device.keypairConfirmed(report.slot, monotonicNow());
        break;
      case 'handshake':
        this.workers.signals.releaseHandshakePlace();
        this.device.receive(report.message, decodeEndpoint(report.endpoint, 0)!);
        break;
      case 'leaseOver':
        // It may have been extended since: then handshakes replace what was let go of.
        if (this.lease.isOut) this.device.setUp(false, monotonicNow());
        else this.device.expireAllSessions(monotonicNow());
        break;
      case 'linkEvent':
        this.refreshLink();
        break;
      case 'linkGone':
        void this.end(undefined);
        return;
      case 'offloadRefused':
        if (this.refused.has(report.offload)) break; // another lane's worker has said so
        this.refused.add(report.offload);
        this.options.log?.(`the kernel refused ${report.offload} (${report.error}); now off`);
        break;
    }
    this.schedulePoll();
  }

  /** What the data threads must know of the socket and the interface. */
  private tellWorkers(): void {
    const { i32 } = this.memory;
    Atomics.store(i32, DEVICE.port >> 2, this.udp.port);
    Atomics.store(i32, DEVICE.fwmark >> 2, this.udp.fwmark);
    Atomics.store(i32, DEVICE.tunInterface >> 2, this.state.index);
  }

  private refreshLink(): void {
    this.refreshedAt = monotonicNow();
    const before = this.state;
    const blindBefore = this.link.blind;
    const state = this.link.refresh();
    if (state === undefined) {
      void this.end(undefined);
      return;
    }
    this.state = state;
    this.tellWorkers();
    if (this.link.eventFd !== this.watched.fd) this.watchLink();
    if (state.mtu !== before.mtu) this.plane.setMtu(state.mtu);
    if (state.up !== before.up) {
      this.device.setUp(state.up && !this.lease.isOut, monotonicNow());
    }
    if (this.link.blind !== undefined && this.link.blind !== blindBefore) {
      this.options.log?.(
        `${state.name} was moved to a namespace that cannot be entered, so its MTU and state are looked at once a second: ${this.link.blind}`,
      );
    }
  }

  private watchLink(): void {
    this.watched.fd = this.link.eventFd;
    this.plane.watchLink(this.link.eventFd, () => this.link.releaseRetired());
  }

  private sendMessage(message: Uint8Array, endpoint: Endpoint): void {
    const { memory, sender, messageAt } = this;
    const { length } = message;
    memory.u8.set(message, messageAt);
    encodeEndpoint(memory.u8, sender.endpoint, endpoint);
    let result = sender.send(sender.endpoint, messageAt, length, length, true);
    if (isSourceError(result) && endpoint.source !== undefined) {
      result = sender.send(sender.endpoint, messageAt, length, length, false);
    }
    if (result < 0) memory.addDrops(controlThread(memory.layout.lanes), DROP.udpSendFailed, 1);
  }

  /** Lets the device act soon: after what is already waiting in the event loop. */
  private schedulePoll(): void {
    if (this.pollPending || this.ending !== undefined) return;
    this.pollPending = true;
    setImmediate(() => {
      this.pollPending = false;
      this.poll();
    });
  }

  private poll(): void {
    if (this.ending !== undefined) return;
    const now = monotonicNow();
    if (this.suspend.hasSlept()) this.device.expireAllSessions(now);
    if (this.link.blind !== undefined && now - this.refreshedAt >= BLIND_INTERVAL) {
      this.refreshLink();
    }
    this.device.poll(now);
    clearTimeout(this.timer);
    const next = this.device.nextPoll(now) - monotonicNow();
    if (next <= 0) this.schedulePoll();
    else this.timer = setTimeout(() => this.poll(), Math.min(Math.ceil(next), MAX_SLEEP));
  }
}
