import { setTimeout as delay } from 'node:timers/promises';
import { uapiGet } from '../../src/tunnel/uapi/client.ts';
import { Capture } from '../lab/capture.ts';
import { monotonicMs, WallClock } from '../lab/clock.ts';
import { type Distribution, distribution } from '../lab/statistics.ts';
import { type Delivery, deliveryBetween } from './delivery.ts';
import { foreignSocket } from './foreign-device.ts';
import { type Commit, type MeshNode, ProofMesh, type Traffic } from './mesh.ts';
import type { Message } from './part.ts';

export interface ExclusionOptions {
  readonly count: number;
  readonly push: boolean;
  readonly pollMs: number;
  /** Packets per second of each of the six flows. */
  readonly rate: number;
  /** Whether the third node keeps its sessions whatever it is told. Default true. */
  readonly rogue?: boolean;
  /** Whether one of the two members is the official wireguard-go behind the agent. Default false. */
  readonly foreign?: boolean;
  /** With `foreign`: how often its agent is killed afterwards. Default 0. */
  readonly kills?: number;
  readonly progress?: (done: number, of: number) => void;
}

/** What one member did, or both: the later of the two then. All in ms since the commit. */
export interface MemberFigures {
  /** Last packet from or to the denied node. */
  readonly exclusion_ms: Distribution;
  /** The two halves of it. */
  readonly last_written_to_tun_ms: Distribution;
  readonly last_sealed_ms: Distribution;
  /** Until the member's device had let go of the keys, by its agent's own event. */
  readonly acknowledged_ms?: Distribution;
  /** Of that, ms from when the member had received the push. */
  readonly of_that_in_the_member_ms?: Distribution;
  /** From the commit that admits it again to the first packet, in the slowest direction. */
  readonly readmission_ms: Distribution;
}

/** After `kill -9` of the agent of a foreign device. */
export interface KilledAgent {
  readonly kills: number;
  /** ms until the device had no peer any more. */
  readonly emptied_ms: Distribution;
  /** ms until it wrote the last packet to its TUN device, or sealed the last one. */
  readonly last_packet_ms: Distribution;
}

export interface ExclusionResult extends MemberFigures {
  readonly exclusions: number;
  readonly push: boolean;
  readonly poll_s: number;
  readonly packets_per_second_per_flow: number;
  /** In a mixed mesh: the same figures for each of the two members. */
  readonly by_member?: { readonly native: MemberFigures; readonly foreign: MemberFigures };
  /** Packets between the two members that stay, over all the epochs of the run. */
  readonly between_members: Delivery;
  /** What the two members' tunnels dropped or refused, by reason. */
  readonly tunnel_drops: readonly Readonly<Record<string, number>>[];
  readonly rotations: number;
  /** ms that the measurement tells two packets apart. */
  readonly resolution_ms: number;
  /** For the p99 of a native mesh, for the longest in a mixed one. */
  readonly bound_ms: number;
  readonly killed_agent?: KilledAgent;
  readonly passed: boolean;
}

/** With push the goal; without, when the slowest poll comes, and half a second. */
export function boundMs(push: boolean, pollMs: number): number {
  return push ? 100 : 1.1 * pollMs + 500;
}

const EPOCH_S = 60;
/** In a mixed mesh no exclusion may outlast the epoch and what applying it takes. */
const FOREIGN_BOUND_MS = EPOCH_S * 1000 + 500;
/** From the death of an agent until its watchdog has emptied the device. */
const EMPTIED_BOUND_MS = 1000;

const SETTLE_MS = 150;
const READMISSION_TIMEOUT_MS = 20_000;
/** Longest that a denied node is waited to fall silent. */
const SILENCE_TIMEOUT_MS = FOREIGN_BOUND_MS + 5000;

/**
 * Three nodes with traffic between all of them; the third is denied and readmitted over and over.
 * Each time: when was the last packet from it written to a member's TUN device, and when was the
 * last transport packet to it handed to a member's link? The denied node itself goes on sending.
 */
export async function measureExclusions(options: ExclusionOptions): Promise<ExclusionResult> {
  const { count, push, pollMs, foreign = false, kills = 0 } = options;
  const names = ['node-a', 'node-b', 'node-c'];
  // A report interval this short lets scores change as often as they do here.
  const settings = {
    epochS: EPOCH_S,
    freshnessS: 7200,
    graceS: 5,
    lifetimeS: 600,
    reportIntervalS: 0.1,
  };
  return ProofMesh.with({ nodes: names, settings }, async (mesh) => {
    const nodes: MeshNode[] = [];
    for (const name of names) {
      const rogue = name === 'node-c' && options.rogue !== false;
      nodes.push(
        foreign && name === FOREIGN_NODE
          ? await startForeignNode(mesh, { pollMs, push })
          : await mesh.startNode(name, { pollMs, push, rogue }),
      );
    }
    const run = new ExclusionRun(mesh, nodes as [MeshNode, MeshNode, MeshNode], options);
    try {
      await run.start();
      for (let i = 0; i < count; i++) {
        await run.exclude();
        await run.readmit();
        options.progress?.(i + 1, count);
      }
      const result = await run.result();
      return kills > 0 ? await run.killAgents(result, kills) : result;
    } finally {
      await run.stop();
    }
  });
}

const FOREIGN_NODE = 'node-b';

/** The name of an interface is that of its socket, which all namespaces share. */
const foreignDevice = () => `mx${process.pid}`;

async function startForeignNode(
  mesh: ProofMesh,
  options: { pollMs: number; push: boolean },
): Promise<MeshNode> {
  await mesh.startForeignDevice(FOREIGN_NODE, foreignDevice());
  return mesh.startNode(FOREIGN_NODE, { ...options, foreign: foreignDevice() });
}

/** Each list has one entry per exclusion, `acknowledged` and `inTheMember` as many as events. */
class Samples {
  readonly exclusions: number[] = [];
  readonly lastWritten: number[] = [];
  readonly lastSealed: number[] = [];
  readonly readmissions: number[] = [];
  readonly acknowledged: number[] = [];
  readonly inTheMember: number[] = [];

  figures(): MemberFigures {
    return {
      exclusion_ms: distribution(this.exclusions),
      last_written_to_tun_ms: distribution(this.lastWritten),
      last_sealed_ms: distribution(this.lastSealed),
      ...(this.acknowledged.length === 0
        ? {}
        : {
            acknowledged_ms: distribution(this.acknowledged, 0),
            of_that_in_the_member_ms: distribution(this.inTheMember),
          }),
      readmission_ms: distribution(this.readmissions),
    };
  }

  /** Of one exclusion. */
  add(written: number, sealed: number): void {
    this.lastWritten.push(written);
    this.lastSealed.push(sealed);
    this.exclusions.push(Math.max(written, sealed));
  }
}

class ExclusionRun {
  private readonly mesh: ProofMesh;
  private readonly members: readonly [MeshNode, MeshNode];
  private readonly third: MeshNode;
  private readonly options: ExclusionOptions;
  private readonly clock = new WallClock();
  /** Packets from the third node that members write to their TUN devices. */
  private readonly written: Capture[];
  /** Transport packets to the third node that leave the members. */
  private readonly sealed: Capture[];
  /** Packets from the members that the third node gets. */
  private readonly reached: Capture[];
  private traffic: Traffic[] = [];
  /** The later of both members, and each of them. */
  private readonly both = new Samples();
  private readonly each: readonly [Samples, Samples] = [new Samples(), new Samples()];
  private rotations = 0;
  private removedAt = 0;

  constructor(
    mesh: ProofMesh,
    nodes: readonly [MeshNode, MeshNode, MeshNode],
    options: ExclusionOptions,
  ) {
    const [a, b, third] = nodes;
    this.mesh = mesh;
    this.members = [a, b];
    this.third = third;
    this.options = options;
    this.written = this.members.map(
      (node) =>
        new Capture({
          wrap: mesh.wrap(node.name),
          device: node.device,
          direction: 'in',
          filter: `src host ${third.address}`,
          clock: this.clock,
        }),
    );
    this.sealed = this.members.map(
      (node) =>
        new Capture({
          wrap: mesh.wrap(node.name),
          device: 'eth0',
          direction: 'out',
          filter: `udp and dst host ${third.outer} and udp[8] = 4`,
          clock: this.clock,
        }),
    );
    this.reached = this.members.map(
      (node) =>
        new Capture({
          wrap: mesh.wrap(third.name),
          device: third.device,
          direction: 'in',
          filter: `src host ${node.address}`,
          clock: this.clock,
        }),
    );
  }

  async start(): Promise<void> {
    const { mesh, options } = this;
    this.members.forEach(({ part }, i) => {
      part.onMessage = (message) => this.heard(message, this.each[i]!);
    });
    const nodes = [...this.members, this.third];
    await Promise.all(this.captures().map((capture) => capture.opened()));
    for (const node of nodes) await mesh.score(node, 0.9);
    await this.rotate();
    for (const node of nodes) {
      const others = nodes.filter((other) => other !== node);
      this.traffic.push(await mesh.startTraffic(node, others, options.rate));
    }
    await this.untilAllFlow(monotonicMs());
    await delay(1000); // the last keypairs of the start settle
    for (const traffic of this.traffic) await traffic.reset();
  }

  async exclude(): Promise<void> {
    const { push, pollMs } = this.options;
    await this.mesh.score(this.third, 0.2);
    // Not in step with anything periodic.
    await delay(Math.random() * (push ? 100 : pollMs));
    this.clock.refresh();
    await this.untilAllTalk();
    const commit = await this.rotate();
    this.removedAt = commit.at;
    if (!commit.removed.includes(this.third.name)) throw new Error('the node was not denied');
    await delay(boundMs(push, pollMs) + SETTLE_MS);
    await this.untilSilence();
    const written = this.written.map((capture) => since(commit, capture));
    const sealed = this.sealed.map((capture) => since(commit, capture));
    this.each.forEach((samples, i) => {
      samples.add(written[i]!, sealed[i]!);
    });
    this.both.add(Math.max(...written), Math.max(...sealed));
  }

  async readmit(): Promise<void> {
    await this.mesh.score(this.third, 0.9);
    for (const capture of this.captures()) capture.clear();
    const commit = await this.rotate();
    const firsts = (await this.untilAllFlow(commit.at)).map((at) => at - commit.at);
    this.each.forEach((samples, i) => {
      samples.readmissions.push(firsts[i]!);
    });
    this.both.readmissions.push(Math.max(...firsts));
    await delay(50);
  }

  async result(): Promise<ExclusionResult> {
    const { options } = this;
    await Promise.all(this.traffic.map((traffic) => traffic.pause()));
    await delay(1500); // what is under way arrives, and status files are written
    const [ofA, ofB] = await Promise.all(this.traffic.slice(0, 2).map((one) => one.report()));
    const bound = options.foreign ? FOREIGN_BOUND_MS : boundMs(options.push, options.pollMs);
    const figures = this.both.figures();
    const [native, foreign] = this.each;
    const { p99, max } = figures.exclusion_ms;
    return {
      exclusions: this.both.exclusions.length,
      push: options.push,
      poll_s: options.pollMs / 1000,
      packets_per_second_per_flow: options.rate,
      ...figures,
      ...(options.foreign
        ? { by_member: { native: native.figures(), foreign: foreign.figures() } }
        : {}),
      between_members: deliveryBetween(this.members, [ofA!, ofB!]),
      tunnel_drops: this.members.map((node) => this.mesh.status(node).drops),
      rotations: this.rotations,
      resolution_ms: 1000 / options.rate,
      bound_ms: bound,
      passed: (options.foreign ? max : p99) < bound,
    };
  }

  /**
   * Kills the foreign device's agent, looks how long the device goes on, and starts the agent
   * again. The other two nodes send all the while, the denied one as a member.
   */
  async killAgents(result: ExclusionResult, kills: number): Promise<ExclusionResult> {
    const { push, pollMs } = this.options;
    const { mesh, clock } = this;
    let [, member] = this.members;
    const { device, listenPort } = { device: member.device, listenPort: mesh.place.listenPort };
    const capture = (where: string, direction: 'in' | 'out', filter: string) =>
      new Capture({ wrap: mesh.wrap(member.name), device: where, direction, filter, clock });
    const written = capture(device, 'in', 'udp');
    const sealed = capture('eth0', 'out', `udp and src port ${listenPort} and udp[8] = 4`);
    const emptied: number[] = [];
    const lastPacket: number[] = [];
    try {
      await Promise.all([written.opened(), sealed.opened()]);
      await Promise.all(this.traffic.map((traffic) => traffic.resume()));
      for (let i = 0; i < kills; i++) {
        await delay(500 + Math.random() * 500);
        clock.refresh();
        for (const each of [written, sealed]) each.clear();
        await until(() => written.packets.length > 0 && sealed.packets.length > 0, 'traffic');
        const killedAt = monotonicMs();
        const dead = member.part.kill();
        await until(async () => (await peersOf(device)) === 0, 'the device to be empty');
        emptied.push(monotonicMs() - killedAt);
        await dead;
        await delay(SETTLE_MS);
        const last = Math.max(written.lastAt() ?? 0, sealed.lastAt() ?? 0);
        lastPacket.push(Math.max(0, last - killedAt));
        member = await mesh.startNode(member.name, { pollMs, push, foreign: device });
        for (const each of this.captures()) each.clear();
        for (const each of [written, sealed]) each.clear();
        const { at } = await this.rotate();
        await this.untilAllFlow(at);
        await until(() => written.packets.length > 0 && sealed.packets.length > 0, 'traffic');
      }
    } finally {
      await Promise.all([written.stop(), sealed.stop()]);
    }
    const killed_agent = {
      kills,
      emptied_ms: distribution(emptied),
      last_packet_ms: distribution(lastPacket),
    };
    const passed = result.passed && killed_agent.emptied_ms.max < EMPTIED_BOUND_MS;
    return { ...result, killed_agent, passed };
  }

  async stop(): Promise<void> {
    await Promise.all(this.captures().map((capture) => capture.stop()));
  }

  private heard(message: Message, member: Samples): void {
    if (message.event !== 'removed') return;
    const at = this.clock.monotonicOf(message.at as number);
    // The commit is known to us only after the members are through with it.
    setTimeout(() => {
      for (const samples of [member, this.both]) {
        samples.acknowledged.push(at - this.removedAt);
        samples.inTheMember.push(message.took_ms as number);
      }
    }, 50);
  }

  private captures(): Capture[] {
    return [...this.written, ...this.sealed, ...this.reached];
  }

  private rotate(): Promise<Commit> {
    this.rotations++;
    return this.mesh.rotate();
  }

  /** Waits until a packet has gone each way from now on: silence would look like an exclusion. */
  private async untilAllTalk(): Promise<void> {
    const directions = [...this.written, ...this.sealed];
    for (const capture of this.captures()) capture.clear();
    const deadline = monotonicMs() + READMISSION_TIMEOUT_MS;
    while (directions.some((capture) => capture.packets.length === 0)) {
      if (monotonicMs() > deadline) throw new Error('there is no traffic to measure with');
      await delay(1);
    }
  }

  /** Waits until nothing from or to the third node was seen for a while: it may have taken longer. */
  private async untilSilence(): Promise<void> {
    const captures = [...this.written, ...this.sealed];
    const deadline = monotonicMs() + SILENCE_TIMEOUT_MS;
    const isSilent = () =>
      captures.every((capture) => monotonicMs() - (capture.lastAt() ?? 0) > SETTLE_MS);
    while (!isSilent()) {
      if (monotonicMs() > deadline) throw new Error('the denied node was never shut out');
      await delay(20);
    }
  }

  /** When the slower direction between each member and the third had its first packet. */
  private async untilAllFlow(since: number): Promise<number[]> {
    const directions = [...this.written, ...this.reached];
    const deadline = monotonicMs() + READMISSION_TIMEOUT_MS;
    const first = (capture: Capture) => capture.packets.find(({ at }) => at >= since)?.at;
    for (;;) {
      const firsts = directions.map(first);
      if (firsts.every((at) => at !== undefined)) {
        const count = this.members.length;
        return this.members.map((_, i) => Math.max(firsts[i]!, firsts[count + i]!));
      }
      if (monotonicMs() > deadline) {
        throw new Error(
          `no packets in ${firsts.filter((at) => at === undefined).length} of 4 directions`,
        );
      }
      await delay(2);
    }
  }
}

/** Peers that a foreign device has. */
async function peersOf(device: string): Promise<number> {
  return (await uapiGet(foreignSocket(device))).peers.length;
}

async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = monotonicMs() + READMISSION_TIMEOUT_MS;
  while (!(await holds())) {
    if (monotonicMs() > deadline) throw new Error(`waited in vain for ${what}`);
    await delay(1);
  }
}

/** ms from the commit to the last packet; 0 if there was none after it. */
function since(commit: Commit, capture: Capture): number {
  return Math.max(0, (capture.lastAt() ?? commit.at) - commit.at);
}
