import { setTimeout as delay } from 'node:timers/promises';
import { type Delivery, deliveryBetween } from './delivery.ts';
import { type MeshNode, ProofMesh, type Traffic } from './mesh.ts';
import { type Part, program } from './part.ts';
import type { TcpPart, TcpReport } from './tcp-process.ts';

export interface HitlessOptions {
  readonly rotations: number;
  /** Seconds of an epoch. */
  readonly epochS: number;
  /** UDP packets per second and direction, tried in this order without rotation. */
  readonly rates: readonly number[];
  readonly trialS: number;
  /** Bytes of a UDP payload. */
  readonly size: number;
  readonly progress?: (what: string) => void;
}

export interface HitlessRun {
  readonly rotations: number;
  readonly seconds: number;
  readonly packets_per_second_each_way: number;
  readonly udp: Delivery;
  readonly tcp: TcpReport;
  /** What the two tunnels dropped or refused in all, by reason. */
  readonly tunnel_drops: readonly Readonly<Record<string, number>>[];
}

export interface HitlessResult {
  readonly epoch_s: number;
  readonly grace_s: number;
  /** Highest of the tried rates without loss and without rotation, packets per second each way. */
  readonly lossless_rate: number;
  readonly without_rotation: HitlessRun;
  readonly with_rotation: HitlessRun;
  /** How much longer the longest TCP stall was with rotation, ms; the goal is at most 50. */
  readonly stall_difference_ms: number;
  readonly passed: boolean;
}

const TCP_PORT = 9999;
const BLOCK: Pick<TcpPart, 'blockBytes' | 'intervalMs'> = { blockBytes: 4096, intervalMs: 5 };
/** A mesh that is to stand still: no epoch ends by itself within a run. */
const STANDSTILL_S = 3600;

/** Two members on real TUN devices, first without rotation, then with a short epoch. */
export async function measureHitless(options: HitlessOptions): Promise<HitlessResult> {
  const { rotations, epochS, rates } = options;
  const graceS = epochS / 3;
  const seconds = rotations * epochS;
  const [lossless, still] = await onMesh(STANDSTILL_S, graceS, async (pair) => {
    const found = await losslessRate(pair, options);
    const rate = Math.max(found, rates[0]!) / 2;
    options.progress?.(`${found} packets/s without loss; half of it without rotation`);
    return [found, await run(pair, rate, seconds, options)] as const;
  });
  options.progress?.('the same with rotation');
  const rotating = await onMesh(epochS, graceS, (pair) =>
    run(pair, still.packets_per_second_each_way, seconds, options),
  );
  const difference = rotating.tcp.delay_ms.max - still.tcp.delay_ms.max;
  return {
    epoch_s: epochS,
    grace_s: Number(graceS.toFixed(2)),
    lossless_rate: lossless,
    without_rotation: still,
    with_rotation: rotating,
    stall_difference_ms: Number(difference.toFixed(1)),
    passed:
      lossless >= rates[0]! &&
      rotating.rotations >= rotations - 1 &&
      rotating.udp.lost === 0 &&
      rotating.udp.duplicated === 0 &&
      difference <= 50,
  };
}

interface PairOfMembers {
  readonly mesh: ProofMesh;
  readonly nodes: readonly [MeshNode, MeshNode];
}

async function onMesh<T>(
  epochS: number,
  graceS: number,
  body: (pair: PairOfMembers) => Promise<T>,
): Promise<T> {
  const names = ['node-a', 'node-b'];
  const settings = { epochS, graceS, freshnessS: 7200 };
  return ProofMesh.with({ nodes: names, settings }, async (mesh) => {
    const pollMs = Math.min(10_000, epochS * 500);
    const nodes = [
      await mesh.startNode('node-a', { pollMs, push: true }),
      await mesh.startNode('node-b', { pollMs, push: true }),
    ] as const;
    for (const node of nodes) await mesh.score(node, 0.9);
    await mesh.rotate();
    await Promise.all(nodes.map(({ part }) => part.said({ event: 'ready', ready: true })));
    return body({ mesh, nodes });
  });
}

async function startUdp(
  { mesh, nodes }: PairOfMembers,
  rate: number,
  size: number,
): Promise<readonly [Traffic, Traffic]> {
  const [a, b] = nodes;
  const traffic = [
    await mesh.startTraffic(a, [b], rate, size),
    await mesh.startTraffic(b, [a], rate, size),
  ] as const;
  await delay(1500);
  await Promise.all(traffic.map((one) => one.reset()));
  return traffic;
}

async function stopUdp(
  { nodes }: PairOfMembers,
  traffic: readonly [Traffic, Traffic],
): Promise<Delivery> {
  await Promise.all(traffic.map((one) => one.pause()));
  await delay(500);
  const reports = await Promise.all(traffic.map((one) => one.report()));
  await Promise.all(traffic.map((one) => one.part.stop()));
  return deliveryBetween(nodes, reports as [(typeof reports)[0], (typeof reports)[0]]);
}

/** Two trials in a row must be without loss. */
async function losslessRate(pair: PairOfMembers, options: HitlessOptions): Promise<number> {
  let found = 0;
  for (const rate of options.rates) {
    for (let trial = 0; trial < 2; trial++) {
      const traffic = await startUdp(pair, rate, options.size);
      await delay(options.trialS * 1000);
      const { lost, sent } = await stopUdp(pair, traffic);
      // The generator did not get that far: a higher rate means nothing.
      if (sent < 2 * rate * options.trialS * 0.8) return found;
      if (lost > 0) return found;
    }
    found = rate;
  }
  return found;
}

async function run(
  pair: PairOfMembers,
  rate: number,
  seconds: number,
  options: HitlessOptions,
): Promise<HitlessRun> {
  const { mesh, nodes } = pair;
  const receiver = await startTcp(pair, 'receive');
  const sender = await startTcp(pair, 'send');
  const traffic = await startUdp(pair, rate, options.size);
  await receiver.ask({ command: 'reset' });
  const commits = () => mesh.controller.messages.filter((one) => one.committed !== undefined);
  const before = commits().length;
  await delay(seconds * 1000);
  const rotations = commits().length - before;
  const tcp = (await receiver.ask({ command: 'report' })) as unknown as TcpReport & { id: number };
  const udp = await stopUdp(pair, traffic);
  const broken = [sender, receiver].flatMap((part) =>
    part.messages.filter((message) => message.broken !== undefined),
  );
  if (broken.length > 0) throw new Error(`the TCP connection broke: ${broken[0]!.broken}`);
  await delay(1000); // status files are written once a second
  const { id: _, ...report } = tcp;
  return {
    rotations,
    seconds,
    packets_per_second_each_way: rate,
    udp,
    tcp: report,
    tunnel_drops: nodes.map((node) => mesh.status(node).drops),
  };
}

async function startTcp({ mesh, nodes }: PairOfMembers, role: 'send' | 'receive'): Promise<Part> {
  const [a, b] = nodes;
  const options: TcpPart = { role, address: b.address, port: TCP_PORT, ...BLOCK };
  const where = role === 'send' ? a.name : b.name;
  const part = mesh.startPart(`tcp ${role}`, where, program('tcp-process.ts', options));
  await part.said({ ready: true });
  return part;
}
