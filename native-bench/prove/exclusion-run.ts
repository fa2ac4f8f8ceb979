import { setTimeout as delay } from 'node:timers/promises';
import { Capture } from './capture.ts';
import { monotonicMs, WallClock } from './clock.ts';
import { type Delivery, deliveryBetween } from './delivery.ts';
import { type Commit, type MeshNode, ProofMesh, type Traffic } from './mesh.ts';
import type { Message } from './part.ts';
import { type Distribution, distribution } from './statistics.ts';

export interface ExclusionOptions {
  readonly count: number;
  readonly push: boolean;
  readonly pollMs: number;
  /** Packets per second of each of the six flows. */
  readonly rate: number;
  /** Whether the third node keeps its sessions whatever it is told. Default true. */
  readonly rogue?: boolean;
  readonly progress?: (done: number, of: number) => void;
}

export interface ExclusionResult {
  readonly exclusions: number;
  readonly push: boolean;
  readonly poll_s: number;
  readonly packets_per_second_per_flow: number;
  /** ms from commit to the last packet from or to the denied node, at the slower of two members. */
  readonly exclusion_ms: Distribution;
  /** The two halves of it. */
  readonly last_written_to_tun_ms: Distribution;
  readonly last_sealed_ms: Distribution;
  /** ms from commit until a member's data threads had let go of the keys, by its own event. */
  readonly acknowledged_ms?: Distribution;
  /** Of that, ms from when the member had received the push. */
  readonly of_that_in_the_member_ms?: Distribution;
  /** ms from the commit that admits it again to the first packet, in the slowest direction. */
  readonly readmission_ms: Distribution;
  /** Packets between the two members that stay, over all the epochs of the run. */
  readonly between_members: Delivery;
  /** What the two members' tunnels dropped or refused, by reason. */
  readonly tunnel_drops: readonly Readonly<Record<string, number>>[];
  readonly rotations: number;
  /** ms that the measurement tells two packets apart. */
  readonly resolution_ms: number;
  readonly bound_ms: number;
  readonly passed: boolean;
}

/** With push the goal; without, when the slowest poll comes, and half a second. */
export function boundMs(push: boolean, pollMs: number): number {
  return push ? 100 : 1.1 * pollMs + 500;
}

const SETTLE_MS = 150;
const READMISSION_TIMEOUT_MS = 20_000;

/**
 * Three nodes with traffic between all of them; the third is denied and readmitted over and over.
 * Each time: when was the last packet from it written to a member's TUN device, and when was the
 * last transport packet to it handed to a member's link? The denied node itself goes on sending.
 */
export async function measureExclusions(options: ExclusionOptions): Promise<ExclusionResult> {
  const { count, push, pollMs } = options;
  const names = ['node-a', 'node-b', 'node-c'];
  // A report interval this short lets scores change as often as they do here.
  const settings = {
    epochS: 60,
    freshnessS: 7200,
    graceS: 5,
    lifetimeS: 600,
    reportIntervalS: 0.1,
  };
  return ProofMesh.with({ nodes: names, settings }, async (mesh) => {
    const nodes: MeshNode[] = [];
    for (const name of names) {
      const rogue = name === 'node-c' && options.rogue !== false;
      nodes.push(await mesh.startNode(name, { pollMs, push, rogue }));
    }
    const run = new ExclusionRun(mesh, nodes as [MeshNode, MeshNode, MeshNode], options);
    try {
      await run.start();
      for (let i = 0; i < count; i++) {
        await run.exclude();
        await run.readmit();
        options.progress?.(i + 1, count);
      }
      return await run.result();
    } finally {
      await run.stop();
    }
  });
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
  private readonly exclusions: number[] = [];
  private readonly lastWritten: number[] = [];
  private readonly lastSealed: number[] = [];
  private readonly readmissions: number[] = [];
  private readonly acknowledged: number[] = [];
  private readonly inTheMember: number[] = [];
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
          device: 'mesh0',
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
          device: 'mesh0',
          direction: 'in',
          filter: `src host ${node.address}`,
          clock: this.clock,
        }),
    );
  }

  async start(): Promise<void> {
    const { mesh, options } = this;
    for (const { part } of this.members) part.onMessage = (message) => this.heard(message);
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
    const written = Math.max(...this.written.map((capture) => since(commit, capture)));
    const sealed = Math.max(...this.sealed.map((capture) => since(commit, capture)));
    this.lastWritten.push(written);
    this.lastSealed.push(sealed);
    this.exclusions.push(Math.max(written, sealed));
  }

  async readmit(): Promise<void> {
    await this.mesh.score(this.third, 0.9);
    for (const capture of this.captures()) capture.clear();
    const commit = await this.rotate();
    this.readmissions.push((await this.untilAllFlow(commit.at)) - commit.at);
    await delay(50);
  }

  async result(): Promise<ExclusionResult> {
    const { options } = this;
    await Promise.all(this.traffic.map((traffic) => traffic.pause()));
    await delay(1500); // what is under way arrives, and status files are written
    const [ofA, ofB] = await Promise.all(this.traffic.slice(0, 2).map((one) => one.report()));
    const bound = boundMs(options.push, options.pollMs);
    const exclusion = distribution(this.exclusions);
    return {
      exclusions: this.exclusions.length,
      push: options.push,
      poll_s: options.pollMs / 1000,
      packets_per_second_per_flow: options.rate,
      exclusion_ms: exclusion,
      last_written_to_tun_ms: distribution(this.lastWritten),
      last_sealed_ms: distribution(this.lastSealed),
      ...(this.acknowledged.length === 0
        ? {}
        : {
            acknowledged_ms: distribution(this.acknowledged, 0),
            of_that_in_the_member_ms: distribution(this.inTheMember),
          }),
      readmission_ms: distribution(this.readmissions),
      between_members: deliveryBetween(this.members, [ofA!, ofB!]),
      tunnel_drops: this.members.map((node) => this.mesh.status(node).drops),
      rotations: this.rotations,
      resolution_ms: 1000 / options.rate,
      bound_ms: bound,
      passed: exclusion.p99 < bound,
    };
  }

  async stop(): Promise<void> {
    await Promise.all(this.captures().map((capture) => capture.stop()));
  }

  private heard(message: Message): void {
    if (message.event !== 'removed') return;
    const at = this.clock.monotonicOf(message.at as number);
    // The commit is known to us only after the members are through with it.
    setTimeout(() => {
      this.acknowledged.push(at - this.removedAt);
      this.inTheMember.push(message.took_ms as number);
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
    const deadline = monotonicMs() + READMISSION_TIMEOUT_MS;
    const isSilent = () =>
      captures.every((capture) => monotonicMs() - (capture.lastAt() ?? 0) > SETTLE_MS);
    while (!isSilent()) {
      if (monotonicMs() > deadline) throw new Error('the denied node was never shut out');
      await delay(20);
    }
  }

  /** When the slowest of the four directions between members and the third had its first packet. */
  private async untilAllFlow(since: number): Promise<number> {
    const directions = [...this.written, ...this.reached];
    const deadline = monotonicMs() + READMISSION_TIMEOUT_MS;
    for (;;) {
      const firsts = directions.map(
        (capture) => capture.packets.find((packet) => packet.at >= since)?.at,
      );
      if (firsts.every((first) => first !== undefined)) return Math.max(...(firsts as number[]));
      if (monotonicMs() > deadline) {
        throw new Error(
          `no packets in ${firsts.filter((first) => first === undefined).length} of 4 directions`,
        );
      }
      await delay(2);
    }
  }
}

/** ms from the commit to the last packet; 0 if there was none after it. */
function since(commit: Commit, capture: Capture): number {
  return Math.max(0, (capture.lastAt() ?? commit.at) - commit.at);
}
