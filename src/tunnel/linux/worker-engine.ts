import { randomBytes } from 'node:crypto';
import type { CryptoProvider, RandomBytes } from '../../crypto/provider.ts';
import { defaultProvider } from '../../crypto/select.ts';
import { defaultTransport } from '../../crypto/transport-select.ts';
import { Lease } from '../../datapath/lease.ts';
import { DEVICE, type MemoryLayout, PacketMemory } from '../../datapath/memory.ts';
import { WARM_UP_SLOTS } from '../../datapath/warm-up.ts';
import type { DeviceChange } from '../../device/config.ts';
import { Device } from '../../device/device.ts';
import type { RotationSettings } from '../../device/rotation.ts';
import { bootNow, monotonicNow } from '../../ground/clock.ts';
import { RouteWatch } from '../../io/linux/route-watch.ts';
import type { LinuxUdpPort } from '../../io/linux/udp-port.ts';
import type { DatagramPort, DeviceState } from '../../io/ports.ts';
import { decodeEndpoint } from '../../wire/endpoint.ts';
import { DeviceFacts, machineAddresses } from '../device-facts.ts';
import { countDrops, type Engine, KEYPAIRS_PER_PEER, writePort } from '../engine.ts';
import { openKeyLog } from '../key-log.ts';
import { DataWorkers } from './data-workers.ts';
import { type Report, threadCount } from './messages.ts';
import type { TunDevice } from './tun-device.ts';
import { WorkerDataPlane } from './worker-data-plane.ts';

/** How often (ms) routes are looked at, at most, however often they change. */
const ROUTES_INTERVAL = 1000;

export interface WorkerEngineOptions {
  readonly maxPeers: number;
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

/** What the engine tells the tunnel around it. */
export interface WorkerEngineEvents {
  /** Something happened that the device acts on at its next poll. */
  readonly needsPoll: () => void;
  /** The interface may have changed. */
  readonly linkEvent: () => void;
  /** The interface was deleted. */
  readonly linkGone: () => void;
  readonly crashed: (error: Error) => void;
}

/** The device in this thread, its data path in pairs of worker threads on a TUN device and a socket. */
export class WorkerEngine implements Engine {
  readonly device: Device;
  aead = '';
  kernel = '';
  /** Offloads that the kernel turned out not to do. */
  readonly refused = new Set<string>();

  private readonly options: WorkerEngineOptions;
  private readonly events: WorkerEngineEvents;
  private readonly memory: PacketMemory;
  private readonly lease: Lease;
  private readonly workers: DataWorkers;
  private readonly plane: WorkerDataPlane;
  private readonly routes = new RouteWatch();
  private readonly port: LinuxUdpPort;
  private routesChanged = false;
  private routesCheckedAt = Number.NEGATIVE_INFINITY;
  private interfaceUp = false;
  private mtu: number;
  private started = false;
  private ended = false;

  /** As many pairs of workers as the TUN device has queues, and so many sockets. */
  /** Handshake messages of the workers that the device has not acted on. */
  private handshakesHeld = 0;

  constructor(
    options: WorkerEngineOptions,
    { tun, state, eventFd: linkFd }: TunDevice,
    port: LinuxUdpPort,
    events: WorkerEngineEvents,
  ) {
    this.options = options;
    this.events = events;
    this.port = port;
    this.mtu = state.mtu;
    const udp = port.socket;
    const { maxPeers } = options;
    const lanes = tun.fds.length;
    const threads = threadCount(lanes);
    const layout: MemoryLayout = {
      maxPeers: maxPeers + WARM_UP_SLOTS({ threads }),
      maxKeypairs: maxPeers * KEYPAIRS_PER_PEER + WARM_UP_SLOTS({ threads }),
      threads,
      lanes,
    };
    this.memory = new PacketMemory(layout);
    const { memory, windows } = this.memory;
    this.lease = new Lease(this.memory, bootNow);
    const transport = defaultTransport((message) => options.log?.(message));
    this.workers = new DataWorkers({
      setup: {
        layout,
        memory: { memory, windows },
        udpFamily: udp.family,
        linkFd,
        routeFd: this.routes.eventFd,
        mtu: state.mtu,
        aead: transport.name,
        kernelModule: transport.module,
        vnetHeader: tun.offloads.vnetHeader,
        coalesceTcp: tun.offloads.tcp,
        coalesceUdp: tun.offloads.udp,
        udpSegmentation: options.udpSegmentation ?? true,
      },
      lanes: tun.fds.map((tunFd, lane) => ({ tunFd, udpFd: udp.fds[lane]! })),
      onReport: (thread, report) => this.reported(thread, report),
      onCrash: events.crashed,
    });
    this.plane = new WorkerDataPlane(this.memory, (thread, batch) => {
      this.workers.post(thread, batch);
    });
    this.device = new Device({
      ...options,
      crypto: options.crypto ?? defaultProvider(),
      random: options.random ?? ((length) => new Uint8Array(randomBytes(length))),
      wallClock: options.wallClock ?? Date.now,
      plane: this.plane,
      maxPeers,
      maxKeypairs: maxPeers * KEYPAIRS_PER_PEER,
      send: (message, endpoint) => port.send(message, endpoint),
      keyLog: openKeyLog(options.log ?? console.warn),
      local: new DeviceFacts(this.memory, this.plane.allowedIps, machineAddresses),
    });
  }

  /** Starts the data workers. */
  start(): Promise<void> {
    this.started = true;
    return this.workers.start();
  }

  configure(change: DeviceChange, now: number, done: () => void): void {
    this.device.configure(change, now, done);
  }

  expireKeypairs(before: number, now: number, done: () => void): void {
    this.device.expireKeypairs(before, now, done);
  }

  expireAllSessions(now: number): void {
    this.device.expireAllSessions(now);
  }

  extendLease(until: number, now: number): void {
    const isFirst = this.lease.patience === undefined;
    this.lease.extend(until);
    if (isFirst) this.plane.wake(); // wakes the workers, which wait without a limit so far
    this.updateUp(now);
  }

  deviceChanged({ mtu, up, index }: DeviceState, now: number): void {
    Atomics.store(this.memory.i32, DEVICE.tunInterface >> 2, index);
    if (mtu !== this.mtu) this.plane.setMtu(mtu);
    this.mtu = mtu;
    this.interfaceUp = up;
    this.updateUp(now);
  }

  portChanged(port: Pick<DatagramPort, 'port' | 'fwmark'>): void {
    writePort(this.memory, port);
    if (this.started) this.plane.wake(); // a worker that waits on the socket before keeps its port in use
  }

  poll(now: number): void {
    if (this.lease.isOver(now)) this.updateUp(now);
    if (this.routesChanged && now - this.routesCheckedAt >= ROUTES_INTERVAL) {
      this.routesChanged = false;
      this.routesCheckedAt = now;
      const { routes, port } = this;
      this.device.forgetSources((endpoint) => routes.hasLeftSource(endpoint, port.fwmark));
    }
    this.device.poll(now);
    this.releaseHandshakes();
  }

  nextPoll(now: number): number {
    return this.device.nextPoll(now);
  }

  settled(): Promise<void> {
    return new Promise((resolve) => this.plane.settled(resolve));
  }

  drops(): Record<string, number> {
    return countDrops(this.memory, this.device.rejects);
  }

  async close(now: number): Promise<void> {
    this.ended = true;
    await this.workers.stop();
    this.routes.close();
    this.plane.close();
    const { memory, device } = this;
    device.configure({ privateKey: new Uint8Array(32), replacePeers: true }, now);
    memory.u8.fill(0, memory.keypair(0), memory.keypair(memory.layout.maxKeypairs));
  }

  /** When the lease is over there are no handshakes either, until it is extended. */
  private updateUp(now: number): void {
    this.device.setUp(this.interfaceUp && !this.lease.isOut, now);
  }

  /** Their places are free again when the device has acted on them, or would not have them. */
  private releaseHandshakes(): void {
    const done = this.handshakesHeld - this.device.waitingHandshakes;
    if (done <= 0) return;
    this.workers.signals.releaseHandshakePlaces(done);
    this.handshakesHeld -= done;
  }

  private reported(thread: number, report: Report): void {
    if (this.ended) return;
    const { device } = this;
    switch (report.report) {
      case 'ready':
        this.aead = report.aead;
        this.kernel = report.kernel;
        break;
      case 'done':
        this.plane.acknowledged(thread, report.number);
        break;
      case 'handshakeWanted':
        device.handshakeWanted(report.peer, monotonicNow());
        break;
      case 'keypairConfirmed':
        device.keypairConfirmed(report.slot, monotonicNow());
        break;
      case 'handshake':
        this.handshakesHeld++;
        device.receive(report.message, decodeEndpoint(report.endpoint, 0)!);
        this.releaseHandshakes();
        break;
      case 'leaseOver':
        this.updateUp(monotonicNow());
        // It may have been extended since: then handshakes replace what was let go of.
        if (!this.lease.isOut) device.expireAllSessions(monotonicNow());
        break;
      case 'routeEvent':
        this.routesChanged = true;
        break;
      case 'linkEvent':
        this.events.linkEvent();
        break;
      case 'linkGone':
        this.events.linkGone();
        return;
      case 'offloadRefused':
        if (this.refused.has(report.offload)) break; // another lane's worker has said so
        this.refused.add(report.offload);
        this.options.log?.(`the kernel refused ${report.offload} (${report.error}); now off`);
        break;
    }
    this.events.needsPoll();
  }
}
