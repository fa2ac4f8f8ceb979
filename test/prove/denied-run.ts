import { setTimeout as delay } from 'node:timers/promises';
import type { TokenAnswer } from '../../src/contract/admin.ts';
import { Capture } from '../lab/capture.ts';
import { WallClock } from '../lab/clock.ts';
import type { AttackerPart } from './attacker-process.ts';
import { type Delivery, deliveryBetween } from './delivery.ts';
import { type MeshNode, ProofMesh, type Traffic } from './mesh.ts';
import { type Part, program } from './part.ts';

/** One thing that the denied node did, and what came of it. */
export interface Attack {
  readonly attack: string;
  /** How much of it. */
  readonly tried: string;
  /** Packets from it that members wrote to their TUN devices. */
  readonly written_to_tun: number;
  /** Transport packets and handshake responses that members sent to its address. */
  readonly sealed_or_answered: number;
}

export interface DeniedResult {
  readonly attacks: readonly Attack[];
  /** What the controller said to calls with the denied node's keys. */
  readonly calls: Readonly<Record<string, unknown>>;
  readonly between_members: Delivery;
  /** Of replayed initiations from before, once it was a member again. */
  readonly responses_after_readmission: number;
  readonly tunnel_drops: readonly Readonly<Record<string, number>>[];
  readonly passed: boolean;
}

/** What each call of the denied node must be refused with. */
export const EXPECTED_CALLS: Readonly<Record<string, string>> = {
  own_config: 'keys_elsewhere',
  own_keys: 'not_authorized',
  config_of_another: 'wrong_node',
  keys_of_another: 'wrong_node',
  lease_of_another: 'wrong_node',
  stream_of_another: 'wrong_node',
  enrol_with_used_token: 'token_used',
  enrol_again_with_new_keys: 'node_exists',
  enrol_under_another_name: 'key_in_use',
  enrol_as_a_member: 'node_exists',
};

/** Longest datagram list that is replayed: some seconds of everybody's traffic. */
const MAX_REPLAYED = 4000;
const ETHERNET_IP_UDP = 14 + 20 + 8;

/** A node is denied on real TUN devices and does everything it can. */
export async function attackAsDenied(rate = 100, floodCount = 5000): Promise<DeniedResult> {
  const names = ['node-a', 'node-b', 'node-c'];
  const settings = { epochS: 60, freshnessS: 7200, graceS: 5, reportIntervalS: 0.1 };
  return ProofMesh.with({ nodes: names, settings }, async (mesh) => {
    const nodes: MeshNode[] = [];
    for (const name of names) {
      nodes.push(
        await mesh.startNode(name, { pollMs: 10_000, push: true, rogue: name === 'node-c' }),
      );
    }
    const run = new DeniedRun(mesh, nodes as [MeshNode, MeshNode, MeshNode]);
    try {
      return await run.run(rate, floodCount);
    } finally {
      await run.stop();
    }
  });
}

class DeniedRun {
  private readonly mesh: ProofMesh;
  private readonly members: readonly [MeshNode, MeshNode];
  private readonly denied: MeshNode;
  private readonly written: Capture[];
  private readonly answered: Capture[];
  /** Everything on the members' links, whole. */
  private readonly wire: Capture[];
  private readonly attacks: Attack[] = [];

  constructor(mesh: ProofMesh, [a, b, c]: readonly [MeshNode, MeshNode, MeshNode]) {
    const clock = new WallClock();
    this.mesh = mesh;
    this.members = [a, b];
    this.denied = c;
    const capture = (
      node: MeshNode,
      device: string,
      direction: 'in' | 'out' | 'inout',
      filter: string,
      whole = false,
    ) => new Capture({ wrap: mesh.wrap(node.name), device, direction, filter, clock, whole });
    this.written = this.members.map((node) =>
      capture(node, 'mesh0', 'in', `src host ${c.address}`),
    );
    this.answered = this.members.map((node) =>
      capture(node, 'eth0', 'out', `udp and dst host ${c.outer} and (udp[8] = 4 or udp[8] = 2)`),
    );
    this.wire = this.members.map((node) =>
      capture(node, 'eth0', 'inout', `udp port ${mesh.place.listenPort}`, true),
    );
  }

  async run(rate: number, floodCount: number): Promise<DeniedResult> {
    const { mesh, members, denied } = this;
    await Promise.all(this.captures().map((capture) => capture.opened()));
    const nodes = [...members, denied];
    for (const node of nodes) await mesh.score(node, 0.9);
    await mesh.rotate();
    const traffic: Traffic[] = [];
    for (const node of nodes) {
      traffic.push(
        await mesh.startTraffic(
          node,
          nodes.filter((other) => other !== node),
          rate,
        ),
      );
    }
    for (let epoch = 0; epoch < 3; epoch++) {
      await delay(1500);
      await mesh.rotate();
    }
    await delay(1500);
    if (this.written.some((capture) => capture.packets.length === 0)) {
      throw new Error('the node was never heard while it was a member');
    }
    const captured = this.capturedDatagrams();
    const attacker = await this.startAttacker();
    await mesh.score(denied, 0.2);
    await Promise.all(traffic.slice(0, 2).map((one) => one.reset()));
    await mesh.rotate();
    await delay(2000); // what was under way is measured elsewhere

    await this.attack('goes on with its old sessions', async () => {
      await delay(3000);
      return `${rate} packets/s to each member for 3 s`;
    });
    await this.attack('shakes hands with every old pre-shared key', async () => {
      const { keys } = await denied.part.ask({ command: 'handshakes' }, 60_000);
      return `${keys} keys`;
    });
    const replay = () => this.replay(attacker, captured);
    await this.attack('replays datagrams of its own and of others, from other ports', replay);
    await this.attack('floods', async () => {
      const { sent } = await attacker.ask({ command: 'flood', count: floodCount }, 120_000);
      return `${sent} datagrams of all types`;
    });
    const calls = await this.calls(attacker);
    const delivery = await this.delivery(traffic.slice(0, 2) as [Traffic, Traffic]);

    await mesh.score(denied, 0.9);
    await mesh.rotate();
    await delay(1000);
    const { answers: before } = await attacker.ask({ command: 'flood', count: 0 });
    await this.replay(attacker, captured);
    const { answers: after } = await attacker.ask({ command: 'flood', count: 0 });
    const responses = responsesIn(after) - responsesIn(before);
    await delay(1000);
    const refused = Object.entries(EXPECTED_CALLS).every(([call, code]) => calls[call] === code);
    const silent = this.attacks.every(
      (one) => one.written_to_tun === 0 && one.sealed_or_answered === 0,
    );
    return {
      attacks: this.attacks,
      calls,
      between_members: delivery,
      responses_after_readmission: responses,
      tunnel_drops: members.map((node) => mesh.status(node).drops),
      passed:
        silent && refused && delivery.lost === 0 && delivery.duplicated === 0 && responses === 0,
    };
  }

  async stop(): Promise<void> {
    await Promise.all(this.captures().map((capture) => capture.stop()));
  }

  private captures(): Capture[] {
    return [...this.written, ...this.answered, ...this.wire];
  }

  private capturedDatagrams(): string[] {
    const datagrams = this.wire.flatMap((capture) =>
      capture.packets.map(({ bytes }) => bytes.subarray(ETHERNET_IP_UDP).toString('base64')),
    );
    // Handshakes are few and the most interesting; of the rest the newest.
    const isHandshake = (text: string) => Buffer.from(text.slice(0, 4), 'base64')[0] !== 4;
    const handshakes = datagrams.filter(isHandshake);
    const others = datagrams.filter((text) => !isHandshake(text));
    return [...handshakes, ...others.slice(-MAX_REPLAYED)];
  }

  private async startAttacker(): Promise<Part> {
    const { mesh, denied, members } = this;
    const options: AttackerPart = {
      controllerUrl: mesh.place.controllerUrl,
      state: denied.state,
      name: denied.name,
      other: members[0].name,
      targets: members.map(({ outer }) => ({ address: outer, port: mesh.place.listenPort })),
    };
    const command = program('attacker-process.ts', options);
    const part = mesh.startPart('attacker', denied.name, command);
    await part.said({ ready: true });
    return part;
  }

  private async attack(attack: string, run: () => Promise<string>): Promise<void> {
    for (const capture of [...this.written, ...this.answered]) capture.clear();
    const tried = await run();
    await delay(300);
    const count = (captures: readonly Capture[]) =>
      captures.reduce((sum, { packets }) => sum + packets.length, 0);
    this.attacks.push({
      attack,
      tried,
      written_to_tun: count(this.written),
      sealed_or_answered: count(this.answered),
    });
  }

  private async replay(attacker: Part, datagrams: readonly string[]): Promise<string> {
    const answer = await attacker.ask({ command: 'replay', datagrams }, 120_000);
    return `${datagrams.length} datagrams, ${answer.sent} sent`;
  }

  private async calls(attacker: Part): Promise<Record<string, unknown>> {
    const { mesh, denied } = this;
    const token = async (node: string | null) =>
      (await mesh.admin<TokenAnswer>('POST', '/v1/tokens', { node_id: node, ttl_s: 600 })).token;
    const tokens = {
      used: denied.token,
      own: await token(denied.name),
      any: await token(null),
    };
    const { results, error } = await attacker.ask({ command: 'calls', tokens }, 60_000);
    if (error !== undefined) throw new Error(`calls: ${error}`);
    return results as Record<string, unknown>;
  }

  private async delivery(traffic: readonly [Traffic, Traffic]): Promise<Delivery> {
    await Promise.all(traffic.map((one) => one.pause()));
    await delay(500);
    const reports = [await traffic[0].report(), await traffic[1].report()] as const;
    await Promise.all(traffic.map((one) => one.resume()));
    return deliveryBetween(this.members, reports);
  }
}

const responsesIn = (answers: unknown): number => (answers as Record<string, number>)['2'] ?? 0;
