import { nodeProvider } from '../../src/crypto/node.ts';
import type { CryptoProvider } from '../../src/crypto/provider.ts';
import type { TransportAeadFactory } from '../../src/crypto/transport-aead.ts';
import type { TransportAeadName } from '../../src/crypto/transport-choice.ts';
import {
  selectTransportAead,
  TRANSPORT_AEAD_FACTORIES,
} from '../../src/crypto/transport-select.ts';
import { javascriptKernel } from '../../src/datapath/checksum.ts';
import type { DeviceChange, PeerChange, PeerStatus } from '../../src/device/config.ts';
import type { RotationSettings } from '../../src/device/rotation.ts';
import { segmentsOf } from '../../src/io/segments.ts';
import { TunnelCore } from '../../src/tunnel/tunnel-core.ts';
import type { Endpoint } from '../../src/wire/endpoint.ts';
import type { Prefix } from '../../src/wire/prefix.ts';
import { seededBytes, seededRandom } from './random.ts';

/** What the network does to one datagram. Probabilities 0..1, times in ms. */
export interface LinkFaults {
  loss: number;
  duplication: number;
  minDelay: number;
  maxDelay: number;
}

export const PERFECT_LINK: LinkFaults = { loss: 0, duplication: 0, minDelay: 1, maxDelay: 1 };

interface Event {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** Virtual time: a queue of events. Everything random comes from one seed. */
export class Simulation {
  now = 1000;
  faults: LinkFaults = { ...PERFECT_LINK };
  /** Sees every datagram on the wire; returning false loses it. */
  filter: (datagram: Uint8Array, from: SimulatedNode, to: SimulatedNode) => boolean = () => true;
  /** Delay of a datagram, ms, instead of a random one: with a constant, order is kept. */
  delay: ((from: SimulatedNode, to: SimulatedNode) => number) | undefined;
  readonly random: () => number;
  readonly nodes: SimulatedNode[] = [];

  private readonly events: Event[] = [];
  private order = 0;

  constructor(seed: number) {
    this.random = seededRandom(seed);
  }

  addNode(options: Partial<NodeOptions> = {}): SimulatedNode {
    const node = new SimulatedNode(this, this.nodes.length + 1, options);
    this.nodes.push(node);
    return node;
  }

  at(time: number, run: () => void): void {
    const event = { at: Math.max(time, this.now), order: this.order++, run };
    let i = this.events.length;
    this.events.push(event);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!isBefore(event, this.events[parent]!)) break;
      this.events[i] = this.events[parent]!;
      i = parent;
    }
    this.events[i] = event;
  }

  after(delay: number, run: () => void): void {
    this.at(this.now + delay, run);
  }

  /** Runs everything that is due up to and including `time`. */
  runUntil(time: number): void {
    while (this.runNext(time));
    this.now = time;
  }

  /** Runs the next thing that is due by `time`; false if there is none. */
  runNext(time: number): boolean {
    const next = this.events[0];
    if (next === undefined || next.at > time) return false;
    this.pop();
    this.now = next.at;
    next.run();
    return true;
  }

  runFor(duration: number): void {
    this.runUntil(this.now + duration);
  }

  /** Puts a datagram on the wire. */
  transmit(datagram: Uint8Array, from: SimulatedNode, to: Endpoint): void {
    const target = this.nodes.find(
      (node) =>
        node.isRunning &&
        node.endpoint.port === to.port &&
        sameBytes(node.endpoint.address, to.address),
    );
    if (target === undefined || !this.filter(datagram, from, target)) return;
    const { loss, duplication, minDelay, maxDelay } = this.faults;
    const copies = this.random() < duplication ? 2 : 1;
    const source = from.endpoint;
    for (let i = 0; i < copies; i++) {
      if (this.random() < loss) continue;
      const copy = new Uint8Array(datagram);
      const delay = this.delay?.(from, target) ?? minDelay + this.random() * (maxDelay - minDelay);
      this.after(delay, () => {
        if (target.isRunning) target.receive(copy, source);
      });
    }
  }

  private pop(): void {
    const last = this.events.pop()!;
    if (this.events.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= this.events.length) break;
      const right = this.events[child + 1];
      if (right !== undefined && isBefore(right, this.events[child]!)) child++;
      if (!isBefore(this.events[child]!, last)) break;
      this.events[i] = this.events[child]!;
      i = child;
    }
    this.events[i] = last;
  }
}

export interface NodeOptions {
  readonly crypto: CryptoProvider;
  readonly aead: TransportAeadFactory;
  readonly mtu: number;
  readonly requirePsk: boolean;
  readonly rotation: RotationSettings;
  /** How far this node's wall clock is ahead, ms. */
  readonly clockSkew: number;
  /** How fast this node's monotonic clock runs: 1.01 gains 10 ms in a second. */
  readonly clockRate: number;
  readonly maxPeers: number;
  readonly localAddresses: () => readonly Prefix[];
  readonly onHandshake: (publicKey: Uint8Array, generation: number) => void;
}

/** A node with tunnel address 10.0.0.ID, at 192.0.2.ID port 51820. */
export class SimulatedNode {
  readonly id: number;
  readonly privateKey: Uint8Array;
  readonly publicKey: Uint8Array;
  endpoint: Endpoint;
  core: TunnelCore;
  isRunning = true;
  /** How far the wall clock is ahead, ms; a test may step it at any time. */
  clockSkew: number;
  /** Every inner packet that came out of the tunnel; valid until it returns. */
  onPacket: (packet: Uint8Array) => void = () => {};
  /** Every datagram that this node put on the wire. */
  onSent: (datagram: Uint8Array, to: Endpoint) => void = () => {};

  private readonly simulation: Simulation;
  private readonly options: Partial<NodeOptions>;
  private readonly clockRate: number;
  /** How much the monotonic clock missed in suspends, ms. */
  private slept = 0;
  /** What it shows while the node is suspended. */
  private stoppedClock: number | undefined;
  private nextPollAt = Number.POSITIVE_INFINITY;

  constructor(simulation: Simulation, id: number, options: Partial<NodeOptions>) {
    this.simulation = simulation;
    this.id = id;
    this.options = options;
    this.clockSkew = options.clockSkew ?? 0;
    this.clockRate = options.clockRate ?? 1;
    const crypto = options.crypto ?? nodeProvider;
    this.privateKey = seededBytes(Math.floor(simulation.random() * 2 ** 32))(32);
    this.publicKey = crypto.x25519Public(this.privateKey);
    this.endpoint = {
      family: 4,
      address: Uint8Array.of(192, 0, 2, id),
      port: 51820,
      scope: 0,
    };
    this.core = this.createCore();
  }

  /** What this node's monotonic clock shows, ms. */
  get clock(): number {
    return this.stoppedClock ?? this.simulation.now * this.clockRate - this.slept;
  }

  /** Messages and packets not acted on, by reason. */
  get drops(): Record<string, number> {
    return this.core.drops();
  }

  /** What this node knows of a peer. */
  peer(node: SimulatedNode): PeerStatus | undefined {
    return this.core.device
      .peerStatus()
      .find((status) => sameBytes(status.publicKey, node.publicKey));
  }

  get prefix(): Prefix {
    return { address: Uint8Array.of(10, 0, 0, this.id), length: 32 };
  }

  /** This node as another one would configure it. */
  asPeer(change: Partial<PeerChange> = {}): PeerChange {
    return {
      publicKey: this.publicKey,
      endpoint: this.endpoint,
      replaceAllowedIps: true,
      allowedIps: [{ prefix: this.prefix }],
      ...change,
    };
  }

  configure(change: DeviceChange): void {
    this.core.configure(change, this.clock);
    this.settle();
  }

  /** Sends an IPv4/UDP-like packet with `payload` to another node through the tunnel. */
  sendTo(node: SimulatedNode, payload: Uint8Array): void {
    this.sendPacket(innerPacket(this.prefix.address, node.prefix.address, payload));
  }

  sendPacket(packet: Uint8Array): void {
    if (!this.isRunning) return;
    this.core.sendPacket(packet, this.clock);
    this.core.flush();
    this.settle();
  }

  receive(datagram: Uint8Array, source: Endpoint): void {
    this.core.receiveDatagrams(datagram, datagram.length, source, this.clock);
    this.settle();
  }

  /** Loses all state but the key. */
  restart(): void {
    this.isRunning = true;
    this.core = this.createCore();
    this.reschedule();
  }

  /** Neither sends nor receives until `restart`. */
  stop(): void {
    this.isRunning = false;
  }

  /** Like `stop`, but everything is kept, and the monotonic clock stands still until `resume`. */
  suspend(): void {
    this.stoppedClock = this.clock;
    this.isRunning = false;
  }

  resume(): void {
    this.slept = this.simulation.now * this.clockRate - this.stoppedClock!;
    this.stoppedClock = undefined;
    this.isRunning = true;
    this.nextPollAt = Number.POSITIVE_INFINITY;
    this.reschedule();
  }

  /** Acts as if something had happened: for changes made to the core directly. */
  wake(): void {
    this.core.poll(this.clock);
    this.reschedule();
  }

  private settle(): void {
    if (!this.core.needsPoll) return;
    this.core.poll(this.clock);
    this.reschedule();
  }

  /** Looks at the core's next deadline again. */
  reschedule(): void {
    const { simulation } = this;
    // A hair late rather than early: a clock that shows less than the deadline would ask again.
    const due = (this.core.nextPoll(this.clock) + this.slept) / this.clockRate;
    const at = Math.max(simulation.now, due + 1e-6);
    if (at >= this.nextPollAt || at === Number.POSITIVE_INFINITY) return;
    this.nextPollAt = at;
    simulation.at(at, () => {
      if (this.nextPollAt !== at) return;
      this.nextPollAt = Number.POSITIVE_INFINITY;
      if (!this.isRunning) return;
      this.core.poll(this.clock);
      this.reschedule();
    });
  }

  private createCore(): TunnelCore {
    const { simulation, options } = this;
    const seed = Math.floor(simulation.random() * 2 ** 32);
    const core = new TunnelCore({
      crypto: options.crypto ?? nodeProvider,
      random: seededBytes(seed),
      aead: options.aead ?? fastestAead(),
      kernel: javascriptKernel,
      mtu: options.mtu ?? 1420,
      maxPeers: options.maxPeers ?? 16,
      wallClock: () => 1_700_000_000_000 + simulation.now + this.clockSkew,
      ...(options.requirePsk === undefined ? {} : { requirePsk: options.requirePsk }),
      ...(options.rotation === undefined ? {} : { rotation: options.rotation }),
      ...(options.localAddresses === undefined ? {} : { localAddresses: options.localAddresses }),
      ...(options.onHandshake === undefined ? {} : { onHandshake: options.onHandshake }),
      output: {
        sendDatagrams: (batch, segmentSize, endpoint) => {
          for (const datagram of segmentsOf(batch, segmentSize)) {
            this.onSent(datagram, endpoint);
            simulation.transmit(datagram, this, endpoint);
          }
        },
        deliver: (packet) => this.onPacket(packet),
      },
    });
    core.configure({ privateKey: this.privateKey }, this.clock);
    return core;
  }
}

/** Makes both peers of each other, with a pre-shared key if given. */
export function connect(
  a: SimulatedNode,
  b: SimulatedNode,
  change: Partial<PeerChange> = {},
): void {
  a.configure({ peers: [b.asPeer(change)] });
  b.configure({ peers: [a.asPeer(change)] });
}

/** An IPv4 packet of an experimental protocol (253, RFC 3692) around `payload`. */
export function innerPacket(
  source: Uint8Array,
  destination: Uint8Array,
  payload: Uint8Array,
): Uint8Array {
  const packet = new Uint8Array(20 + payload.length);
  const view = new DataView(packet.buffer);
  packet[0] = 0x45;
  view.setUint16(2, packet.length);
  packet[8] = 64;
  packet[9] = 253;
  packet.set(source, 12);
  packet.set(destination, 16);
  packet.set(payload, 20);
  return packet;
}

export const payloadOf = (packet: Uint8Array): Uint8Array => packet.subarray(20);

let fastest: TransportAeadName | undefined;

/** Tested once and not for every node. */
function fastestAead(): TransportAeadFactory {
  fastest ??= selectTransportAead(new WebAssembly.Memory(ONE_MEGABYTE), 4096, {
    prefer: 'wasm-simd',
    log: console.warn,
  }).name as TransportAeadName;
  return TRANSPORT_AEAD_FACTORIES[fastest];
}

const ONE_MEGABYTE = { initial: 16, maximum: 16, shared: true };

function isBefore(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
