import { createHash } from 'node:crypto';
import { nobleProvider } from '../../src/crypto/noble.ts';
import type { RotationSettings } from '../../src/device/rotation.ts';
import { CookieGenerator } from '../../src/noise/cookie.ts';
import { INITIATION } from '../../src/wire/initiation.ts';
import { MESSAGE_TYPE, messageType, writeU32 } from '../../src/wire/message-type.ts';
import { TRANSPORT_DATA } from '../../src/wire/transport-data.ts';
import { Ledger } from './ledger.ts';
import { seededBytes } from './random.ts';
import { type LinkFaults, type SimulatedNode, Simulation } from './simulation.ts';

/** In a governed mesh the grace is a third of the epoch (20 s of 60 s). */
const GRACE_PER_EPOCH = 1 / 3;

export interface RotationScenario {
  readonly name: string;
  readonly epochMs: number;
  readonly members: number;
  /** `both`: packets at the full rate in every direction between members. */
  readonly flows: 'both' | 'from the smaller key' | 'from the greater key' | 'idle';
  readonly link: LinkFaults;
  /** How long after the epoch's beginning a node learns of it, ms; random() is [0, 1). */
  learnAfter(place: 'smaller key' | 'greater key', random: () => number, epochMs: number): number;
  /** False loses a datagram. `keepalives`: how many this node has sent since the epoch began. */
  passes?(datagram: Uint8Array, keepalives: number, random: () => number): boolean;
  /** Somebody who was denied does what it can. */
  readonly denied?: boolean;
  /** A member restarts in about every fifth epoch. */
  readonly restarts?: boolean;
}

const isHandshake = (datagram: Uint8Array): boolean =>
  messageType(datagram) !== MESSAGE_TYPE.transportData;

const soon = (_: unknown, random: () => number): number => random() * 20;
const LAN: LinkFaults = { loss: 0, duplication: 0, minDelay: 1, maxDelay: 1 };
const PLAIN = {
  epochMs: 4000,
  members: 2,
  flows: 'both',
  link: LAN,
  learnAfter: soon,
} as const;

const losingKeepalives: Pick<RotationScenario, 'passes' | 'link'> = {
  link: { ...LAN, minDelay: 20, maxDelay: 20 },
  // The first ones of each node after an epoch has begun, up to all of a confirmation's.
  passes: (datagram, keepalives, random) =>
    datagram.length !== TRANSPORT_DATA.overhead || random() * 6 < keepalives - 1,
};

export const SCENARIOS: readonly RotationScenario[] = [
  { ...PLAIN, name: 'no faults' },
  {
    ...PLAIN,
    name: '5 % loss of handshake messages and of pushes',
    learnAfter: (_, random) => (random() < 0.05 ? 700 : 20) * random(),
    passes: (datagram, _, random) => !isHandshake(datagram) || random() >= 0.05,
  },
  {
    ...PLAIN,
    name: '3 s of skew in when nodes learn of an epoch',
    epochMs: 10_000,
    learnAfter: (_, random) => random() * 3000,
  },
  {
    ...PLAIN,
    name: 'crossing initiations at 50 ms delay',
    link: { ...LAN, minDelay: 50, maxDelay: 50 },
    // The greater key yields to the smaller one; it learns as much earlier.
    learnAfter: (place, _, epochMs) => (place === 'smaller key' ? Math.min(500, epochMs / 30) : 0),
  },
  {
    ...PLAIN,
    ...losingKeepalives,
    name: 'one-way flow from the smaller key, confirmations lost',
    flows: 'from the smaller key',
  },
  {
    ...PLAIN,
    ...losingKeepalives,
    name: 'one-way flow from the greater key, confirmations lost',
    flows: 'from the greater key',
  },
  {
    ...PLAIN,
    ...losingKeepalives,
    name: 'idle but for a packet now and then, confirmations lost',
    flows: 'idle',
  },
  { ...PLAIN, name: 'a denied node flooding', denied: true },
  { ...PLAIN, name: 'one node restarting', members: 3, restarts: true },
];

export interface RotationReport {
  readonly scenario: string;
  readonly seed: number;
  readonly rotations: number;
  readonly epochMs: number;
  readonly graceMs: number;
  readonly packetsSent: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly altered: number;
  readonly misdelivered: number;
  /** Packets accepted from the denied node. */
  readonly acceptedFromDenied: number;
  readonly initiations: number;
  /** Rotations of a pair in which both sides sent initiations. */
  readonly bothBegan: number;
  readonly restarts: number;
  /** From the moment the last node learned of an epoch until all pairs were on it, ms. */
  readonly completionMs: { readonly p50: number; readonly p99: number; readonly max: number };
  /** Rotations that were not complete when the next one began. */
  readonly incomplete: number;
  readonly drops: Readonly<Record<string, number>>;
}

/** Runs one scenario in simulated time; every packet is accounted for. */
export class RotationRun {
  private readonly scenario: RotationScenario;
  private readonly seed: number;
  private readonly packetsPerSecond: number;
  private readonly simulation: Simulation;
  private readonly members: SimulatedNode[];
  private readonly ledger: Ledger;
  private readonly denied: DeniedNode | undefined;
  private readonly rotation: RotationSettings;

  private epoch = 1;
  private readonly known = new Map<SimulatedNode, number>();
  /** Down, or not ready since its restart. */
  private absent: SimulatedNode | undefined;
  private readonly keepalives = new Map<SimulatedNode, number>();
  private readonly initiationsOfEpoch = new Map<SimulatedNode, number>();
  private readonly completions: number[] = [];
  private initiations = 0;
  private bothBegan = 0;
  private incomplete = 0;
  private restarts = 0;
  private readonly drops: Record<string, number> = {};

  constructor(scenario: RotationScenario, seed: number, packetsPerSecond = 1000) {
    this.scenario = scenario;
    this.seed = seed;
    this.packetsPerSecond = packetsPerSecond;
    this.simulation = new Simulation(seed);
    this.rotation = { epoch: scenario.epochMs, grace: scenario.epochMs * GRACE_PER_EPOCH };
    const options = { requirePsk: true, rotation: this.rotation };
    this.members = Array.from({ length: scenario.members }, () => this.simulation.addNode(options));
    this.members.sort((x, y) => (x.publicKey.toHex() < y.publicKey.toHex() ? -1 : 1));
    if (scenario.denied) {
      const node = this.simulation.addNode(options);
      this.denied = new DeniedNode(this.simulation, node, this.members);
    }
    this.ledger = new Ledger(this.simulation);
    this.simulation.faults = { ...scenario.link };
    this.simulation.filter = (datagram, from) => this.passes(datagram, from);
  }

  run(rotations: number, progress: (epoch: number) => void = () => {}): RotationReport {
    const { simulation, scenario, ledger } = this;
    for (const node of this.simulation.nodes) this.learn(node, 1);
    simulation.runFor(3000);
    this.denied?.deny();
    this.startFlows();
    for (let i = 0; i < rotations; i++) {
      this.beginEpoch();
      simulation.runFor(scenario.epochMs);
      this.endEpoch();
      progress(i + 1);
    }
    this.stopped = true;
    simulation.runFor(1000);
    for (const node of this.members) this.countDrops(node);
    const times = this.completions.toSorted((x, y) => x - y);
    const at = (share: number) =>
      Math.round(times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? -1);
    return {
      scenario: scenario.name,
      seed: this.seed,
      rotations,
      epochMs: scenario.epochMs,
      graceMs: Math.round(this.rotation.grace),
      packetsSent: ledger.totalSent,
      lost: ledger.missing,
      ...ledger.violations,
      acceptedFromDenied: this.denied?.accepted ?? 0,
      initiations: this.initiations,
      bothBegan: this.bothBegan,
      restarts: this.restarts,
      completionMs: { p50: at(0.5), p99: at(0.99), max: at(1) },
      incomplete: this.incomplete,
      drops: this.drops,
    };
  }

  private stopped = false;

  /** The key of a pair in an epoch; nobody else can compute it. */
  private psk(a: SimulatedNode, b: SimulatedNode, epoch: number): Uint8Array {
    const pair = [a.id, b.id].toSorted((x, y) => x - y).join();
    return new Uint8Array(createHash('sha256').update(`${this.seed} ${pair} ${epoch}`).digest());
  }

  private learn(node: SimulatedNode, epoch: number): void {
    if (!node.isRunning || epoch <= (this.known.get(node) ?? 0)) return;
    this.known.set(node, epoch);
    const everybody = epoch === 1 ? this.simulation.nodes : this.members;
    const peers = everybody
      .filter((peer) => peer !== node)
      .map((peer) => {
        const key = { presharedKey: this.psk(node, peer, epoch), generation: epoch };
        const isNew = node.peer(peer) === undefined;
        return isNew ? peer.asPeer(key) : { publicKey: peer.publicKey, ...key };
      });
    node.configure({ peers });
  }

  private beginEpoch(): void {
    const { simulation, scenario, members } = this;
    const epoch = ++this.epoch;
    this.keepalives.clear();
    this.initiationsOfEpoch.clear();
    let last = 0;
    members.forEach((node, i) => {
      const place = i === 0 ? 'smaller key' : 'greater key';
      const delay = scenario.learnAfter(place, simulation.random, scenario.epochMs);
      last = Math.max(last, delay);
      simulation.after(delay, () => this.learn(node, epoch));
    });
    if (scenario.restarts && simulation.random() < 0.2) this.scheduleRestart();
    this.denied?.beginEpoch(scenario.epochMs);
    const learned = simulation.now + last;
    const watch = () => {
      if (this.epoch !== epoch) return;
      if (this.isComplete(epoch)) this.completions.push(simulation.now - learned);
      else simulation.after(1, watch);
    };
    simulation.at(learned, watch);
  }

  private endEpoch(): void {
    if (!this.isComplete(this.epoch)) this.incomplete++;
    const starters = this.members.filter((node) => (this.initiationsOfEpoch.get(node) ?? 0) > 0);
    if (this.scenario.members === 2 && starters.length === 2) this.bothBegan++;
  }

  private isComplete(epoch: number): boolean {
    return this.members.every((node) => this.isReady(node, epoch));
  }

  /** All peers were heard on keys of the epoch. */
  private isReady(node: SimulatedNode, epoch: number): boolean {
    return node.core.device.peerStatus().every((peer) => (peer.generation ?? 0) >= epoch);
  }

  private scheduleRestart(): void {
    const { simulation, members } = this;
    const node = members[Math.floor(simulation.random() * members.length)]!;
    simulation.after(simulation.random() * this.scenario.epochMs * 0.7, () => {
      // Packets on their way to it are lost with it.
      this.absent = node;
      simulation.after(this.scenario.link.maxDelay + 1, () => {
        this.countDrops(node);
        node.stop();
        simulation.after(50 + simulation.random() * 500, () => {
          node.restart();
          this.restarts++;
          this.known.set(node, 0);
          this.learn(node, this.epoch);
          const watch = () => {
            if (this.isReady(node, this.known.get(node)!)) this.absent = undefined;
            else simulation.after(1, watch);
          };
          watch();
        });
      });
    });
  }

  private startFlows(): void {
    const { scenario, members, simulation } = this;
    const interval = 1000 / this.packetsPerSecond;
    members.forEach((from, i) => {
      members.forEach((to, j) => {
        if (from === to) return;
        if (scenario.flows === 'from the smaller key' && i > j) return;
        if (scenario.flows === 'from the greater key' && i < j) return;
        const wait = (): number =>
          scenario.flows === 'idle' ? simulation.random() * 2 * scenario.epochMs : interval;
        const tick = () => {
          if (this.stopped) return;
          const excused = from === this.absent || to === this.absent;
          this.ledger.send(from, to, excused);
          simulation.after(wait(), tick);
        };
        simulation.after(wait(), tick);
      });
    });
  }

  private passes(datagram: Uint8Array, from: SimulatedNode): boolean {
    if (messageType(datagram) === MESSAGE_TYPE.initiation && this.members.includes(from)) {
      this.initiations++;
      this.initiationsOfEpoch.set(from, (this.initiationsOfEpoch.get(from) ?? 0) + 1);
    }
    if (datagram.length === TRANSPORT_DATA.overhead) {
      this.keepalives.set(from, (this.keepalives.get(from) ?? 0) + 1);
    }
    this.denied?.overhear(datagram, from);
    const { passes } = this.scenario;
    return passes?.(datagram, this.keepalives.get(from) ?? 0, this.simulation.random) ?? true;
  }

  private countDrops(node: SimulatedNode): void {
    for (const [reason, count] of Object.entries(node.drops)) {
      this.drops[reason] = (this.drops[reason] ?? 0) + count;
    }
  }
}

/** Was a member in the first epoch. Floods, replays, and goes on with all it knows. */
class DeniedNode {
  accepted = 0;
  private readonly simulation: Simulation;
  private readonly node: SimulatedNode;
  private readonly members: readonly SimulatedNode[];
  private readonly overheard: Uint8Array[] = [];
  private readonly forged = new Map<SimulatedNode, Uint8Array[]>();

  constructor(simulation: Simulation, node: SimulatedNode, members: readonly SimulatedNode[]) {
    this.simulation = simulation;
    this.node = node;
    this.members = members;
    const random = seededBytes(node.id);
    for (const member of members) {
      const macs = new CookieGenerator(nobleProvider, member.publicKey);
      const initiations = Array.from({ length: 100 }, () => {
        const message = random(INITIATION.length);
        writeU32(message, INITIATION.type, MESSAGE_TYPE.initiation);
        message.fill(0, INITIATION.mac1);
        macs.addMacs(message, 0);
        return message;
      });
      this.forged.set(member, initiations);
    }
  }

  /** The members drop it; it keeps its configuration and its sessions. */
  deny(): void {
    for (const member of this.members) {
      member.configure({ peers: [{ publicKey: this.node.publicKey, remove: true }] });
      const { onPacket } = member;
      member.onPacket = (packet) => {
        if (packet[15] === this.node.id) this.accepted++;
        else onPacket(packet);
      };
    }
  }

  overhear(datagram: Uint8Array, from: SimulatedNode): void {
    const { simulation } = this;
    if (from === this.node || this.overheard.length > 100_000) return;
    if (simulation.random() >= 0.002) return;
    const copy = datagram.slice();
    // Once it has arrived. Who is faster than the datagram itself can divert answers to it for a
    // moment: that is roaming, and so in every WireGuard.
    simulation.after(100, () => this.overheard.push(copy));
  }

  /** From half a second before the next epoch until a second after it has begun. */
  beginEpoch(epochMs: number): void {
    const { simulation, node } = this;
    for (let ms = 0; ms < 1500; ms++) {
      simulation.after(epochMs - 500 + ms, () => {
        for (const member of this.members) {
          const forged = this.forged.get(member)!;
          const source = { ...node.endpoint, port: Math.floor(simulation.random() * 65_536) };
          member.receive(forged[ms % forged.length]!.slice(), source);
          if (ms % 10 !== 0) continue;
          const old = this.overheard[Math.floor(simulation.random() * this.overheard.length)];
          if (old !== undefined) member.receive(old.slice(), source);
          node.sendTo(member, new Uint8Array(32));
        }
      });
    }
  }
}
