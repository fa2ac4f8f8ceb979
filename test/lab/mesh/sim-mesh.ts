import assert from 'node:assert/strict';
import { toBase64 } from '../../../src/contract/encoding.ts';
import type { Envelope } from '../../../src/contract/envelope.ts';
import { HEADER_EVENT_NAME, type HeaderDocument } from '../../../src/contract/epoch/header.ts';
import { completeSettings } from '../../../src/controller/settings.ts';
import { Ledger } from '../ledger.ts';
import { PERFECT_LINK } from '../simulation.ts';
import { Oracle } from './oracle.ts';
import type { Lie, Schedule, Step } from './schedule.ts';
import { PERFECT_CHANNEL, SimChannel } from './sim-channel.ts';
import { SimController } from './sim-controller.ts';
import { SimNode } from './sim-node.ts';
import { SimWorld } from './sim-world.ts';

/** What a run covered. */
export interface Coverage {
  epochs: number;
  delivered: number;
  /** Directions of pairs that were found to work at the end of a calm. */
  working: number;
  /** Directions not looked at: see isExcused. */
  excused: number;
  simulatedS: number;
  /** Headers that were reported because they contradict what was held. */
  splitViews: number;
}

/** Within this time of the last fault everything works again. */
const CALM_MS = 10_000;
/** Within this time of a commit its push has come, or what was missing in it was asked for. */
const NEWS_MS = 500;
const PACKET_INTERVAL_MS = 200;
/** In this time of an epoch all handshakes of a calm mesh are over. */
const BEGINNING_MS = 2000;

/** Plays a schedule and then lets things calm down; throws at the first thing that is not right. */
export async function play(schedule: Schedule): Promise<Coverage> {
  const mesh = new Mesh(schedule);
  try {
    await mesh.open();
    for (const one of schedule.steps) await mesh.take(one);
    await mesh.calm();
    if (!mesh.isWhole) {
      await mesh.admitAll();
      await mesh.calm();
      assert(mesh.isWhole, 'somebody who scores well was not let in');
    }
    await mesh.checkNews();
    return mesh.coverage();
  } finally {
    await mesh.close();
  }
}

class Mesh {
  private readonly world: SimWorld;
  private readonly controller: SimController;
  private readonly channel: SimChannel;
  private readonly nodes: readonly SimNode[];
  private readonly oracle: Oracle;
  private readonly ledger: Ledger;
  /** Who polls has learned of an epoch after this time. */
  private readonly newsMs: number;
  private readonly parted = new Set<string>();
  private readonly arrived = new Map<string, number>();
  /** A header that each node has had. */
  private readonly first = new Map<string, Envelope>();
  private delivered = 0;
  private working = 0;
  private excused = 0;
  private isClosed = false;

  constructor({ seed, nodes, epochS, pairwiseUpTo, flows }: Schedule) {
    this.world = new SimWorld(seed);
    const { simulation } = this.world;
    const settings = completeSettings({ epochS, pairwiseUpTo, tunnelPrefix: '10.0.0.0/24' });
    this.newsMs = settings.reportIntervalS * 1000 * 1.1 + 500;
    this.controller = new SimController(this.world, settings);
    this.nodes = Array.from(
      { length: nodes },
      (_, i) => new SimNode(this.world, settings, `node-${'abcd'[i]}`),
    );
    this.oracle = new Oracle(this.nodes, settings.lifetimeS);
    this.channel = new SimChannel(this.world, this.controller, this.oracle);
    this.controller.onCommit = (epoch, members) => this.oracle.epochCommitted(epoch, members);
    this.ledger = new Ledger(simulation);
    this.ledger.onDelivered = (from, to, number) => {
      this.delivered++;
      this.arrived.set(`${from.id} ${to.id}`, number);
      this.oracle.accepted(to, from);
    };
    simulation.filter = (_, from, to) => !this.parted.has(pair(from.id, to.id));
    this.world.onRest = () => this.oracle.checkDevices();
    if (flows !== 'none') this.startFlows(flows === 'both');
  }

  async open(): Promise<void> {
    for (const node of this.nodes) await node.enrol(this.controller);
    this.controller.start();
    await this.world.advance(1500); // what was signed in the second of its start is refused
    for (const node of this.nodes) node.start(this.controller, this.channel);
    await this.world.advance(200);
    this.controller.rotate();
    await this.pass(1000);
    assert.equal(this.controller.members.size, this.nodes.length);
    for (const { nodeId, header } of this.nodes) this.first.set(nodeId, header!);
  }

  async close(): Promise<void> {
    this.isClosed = true;
    for (const node of this.nodes) {
      node.resume();
      node.kill();
    }
    await this.world.advance(0);
    await this.controller.close();
  }

  coverage(): Coverage {
    const epochs = this.controller.epoch?.epoch ?? 0;
    const simulatedS = this.world.simulation.now / 1000;
    const { delivered, working, excused } = this;
    const splitViews = this.nodes.reduce((sum, node) => sum + node.splitViews, 0);
    return { epochs, delivered, working, excused, simulatedS, splitViews };
  }

  async take(step: Step): Promise<void> {
    const { world, controller, channel } = this;
    const { simulation } = world;
    switch (step.kind) {
      case 'pass':
        return this.pass(step.ms);
      case 'calm':
        return this.calm();
      case 'rotate':
        controller.rotate();
        break;
      case 'heal':
        this.heal();
        break;
      case 'deny':
      case 'admit': {
        const node = this.node(step.node);
        node.perform(step.kind === 'admit');
        if (!step.promptly) break;
        node.report();
        await this.pass(100 + channel.faults.maxDelay);
        controller.rotate();
        break;
      }
      case 'restart': {
        const node = this.node(step.node);
        node.kill();
        world.after(step.ms, () => {
          if (!this.isClosed) node.start(controller, channel);
        });
        break;
      }
      case 'suspend': {
        const node = this.node(step.node);
        if (node.isSuspended) break;
        node.suspend();
        simulation.after(step.ms, () => node.resume());
        break;
      }
      case 'part':
        this.parted.add(pair(this.node(step.node).tunnel.id, this.node(step.from).tunnel.id));
        break;
      case 'cut':
        channel.cut.set(this.node(step.node).nodeId, step.told);
        break;
      case 'crash':
        if (step.atCommit) {
          controller.dieAtCommit(step.silent);
          controller.rotate();
          await this.pass(1);
        }
        controller.crash(step.silent);
        world.after(step.ms, () => {
          if (!this.isClosed) controller.start();
        });
        break;
      case 'lose':
        simulation.faults.loss = step.datagrams;
        channel.faults.eventLoss = step.events;
        channel.faults.callLoss = step.calls;
        break;
      case 'delay':
        simulation.faults.maxDelay = step.datagrams;
        simulation.faults.duplication = step.duplication;
        channel.faults.maxDelay = step.calls;
        break;
      case 'clock':
        this.node(step.node).setClock(step.ms);
        break;
      case 'tamper':
        channel.tampering.set(this.node(step.node).nodeId, step);
        break;
      case 'lie':
        this.lie(this.node(step.node), step.lie);
        break;
    }
    await this.pass(0);
  }

  /** Nothing of it may have any effect: what contradicts a header that is held is reported, no more. */
  private lie({ nodeId, header }: SimNode, lie: Lie): void {
    if (header === undefined) return;
    const held: HeaderDocument = JSON.parse(Buffer.from(header.payload, 'base64').toString());
    const everybody = this.nodes.map((node) => node.nodeId);
    const told = { ...held, changes: { removed: everybody, added: [], changed: [] } };
    const ahead = (by: number) => ({ epoch: held.epoch + by, version: held.version + by });
    const previous = toBase64(new Uint8Array(32));
    const forged = {
      replay: () => this.first.get(nodeId)!,
      split: () => this.controller.signHeader(told),
      skip: () => this.controller.signHeader({ ...told, ...ahead(1), previous }),
      jump: () => this.controller.signHeader({ ...told, ...ahead(500), previous }),
    };
    this.channel.inject(nodeId, HEADER_EVENT_NAME, forged[lie]());
  }

  /** Ends every fault; then whoever should talk to each other must be able to. */
  async calm(): Promise<void> {
    this.heal();
    this.controller.start();
    for (const node of this.nodes) {
      node.resume();
      node.start(this.controller, this.channel);
    }
    await this.pass(CALM_MS - this.newsMs);
    const version = this.controller.epoch!.version;
    await this.pass(this.newsMs);
    for (const { nodeId } of this.nodes) {
      const known = this.oracle.versionKnownTo(nodeId);
      assert(known >= version, `${nodeId} knows version ${known}, and not ${version}`);
    }
    await this.checkTunnels();
  }

  /** In a calm mesh everybody has an epoch in force before anybody would poll for it. */
  async checkNews(): Promise<void> {
    this.controller.rotate();
    await this.pass(NEWS_MS);
    const { epoch } = this.controller.epoch!;
    for (const { nodeId, epochInForce } of this.nodes) {
      assert(epochInForce === epoch, `${nodeId} has epoch ${epochInForce} in force, not ${epoch}`);
    }
  }

  /** Gives every node a good score, and an epoch that counts it. */
  async admitAll(): Promise<void> {
    for (const node of this.nodes) {
      node.perform(true);
      node.report();
    }
    await this.pass(100);
    this.controller.rotate();
  }

  /** Everybody is a member, and will be in the next epoch. */
  get isWhole(): boolean {
    const { controller, nodes } = this;
    return nodes.every((node) => node.performs && controller.members.has(node.nodeId));
  }

  private async checkTunnels(): Promise<void> {
    const before = this.informedMembers();
    const sent = new Map<string, { from: SimNode; to: SimNode; number: number }>();
    for (const from of before) {
      for (const to of before) {
        if (from === to) continue;
        if (this.isExcused(from) || this.isExcused(to)) {
          this.excused++;
          continue;
        }
        const number = this.ledger.sent(from.tunnel, to.tunnel);
        this.ledger.send(from.tunnel, to.tunnel);
        sent.set(`${from.tunnel.id} ${to.tunnel.id}`, { from, to, number });
      }
    }
    await this.pass(1000);
    const after = this.informedMembers();
    for (const [flow, { from, to, number }] of sent) {
      if (!after.includes(from) || !after.includes(to)) continue;
      const arrived = this.arrived.get(flow) ?? -1;
      assert(arrived >= number, `${from.nodeId} does not reach ${to.nodeId}`);
      this.working++;
    }
  }

  /**
   * A node that restarted with its wall clock behind what it had shown before: its initiations look
   * like replays to the others, and only the next epoch makes them begin.
   */
  private isExcused({ lostTimeAt }: SimNode): boolean {
    const epochBegan = this.controller.epoch!.startedAt - this.world.wallAtStart;
    if (lostTimeAt === undefined) return false;
    return epochBegan <= lostTimeAt || this.world.simulation.now < epochBegan + BEGINNING_MS;
  }

  /** Members of the epoch in force that know of it. */
  private informedMembers(): SimNode[] {
    const { controller, oracle, nodes } = this;
    const members = nodes.filter((node) => controller.members.has(node.nodeId));
    const version = controller.epoch!.version;
    return members.filter((node) => oracle.versionKnownTo(node.nodeId) === version);
  }

  private async pass(ms: number): Promise<void> {
    await this.world.advance(ms);
    this.oracle.checkDevices();
    assert.deepEqual(this.oracle.violations, []);
    assert.deepEqual(this.ledger.violations, { duplicated: 0, altered: 0, misdelivered: 0 });
    assert.deepEqual(this.world.failures, []);
  }

  private heal(): void {
    this.parted.clear();
    this.channel.faults = { ...PERFECT_CHANNEL };
    this.world.simulation.faults = { ...PERFECT_LINK };
    this.channel.heal();
  }

  private node(number: number): SimNode {
    return this.nodes[number % this.nodes.length]!;
  }

  private startFlows(isBothWays: boolean): void {
    const { simulation } = this.world;
    const tick = () => {
      if (this.isClosed) return;
      for (const [i, from] of this.nodes.entries()) {
        for (const [j, to] of this.nodes.entries()) {
          const isWanted = isBothWays ? i !== j : i < j;
          if (isWanted && from.tunnel.isRunning) this.ledger.send(from.tunnel, to.tunnel);
        }
      }
      simulation.after(PACKET_INTERVAL_MS, tick);
    };
    simulation.after(PACKET_INTERVAL_MS, tick);
  }
}

const pair = (a: number, b: number): string => (a < b ? `${a} ${b}` : `${b} ${a}`);
