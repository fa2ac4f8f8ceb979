import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { SIGNATURE_TAGS } from '../../src/contract/http-signature.ts';
import { PROTOCOL } from '../../src/contract/protocol.ts';
import { type Controller, openState, startController } from '../../src/controller/controller.ts';
import { enrol } from '../../src/controller/operations/enrol.ts';
import { reportScore } from '../../src/controller/operations/report-score.ts';
import { issueToken } from '../../src/controller/operations/tokens.ts';
import { orRefuse } from '../../src/controller/problem-error.ts';
import { defaultProvider } from '../../src/crypto/select.ts';
import { call } from '../controller/support/test-mesh.ts';
import { TestNode } from '../controller/support/test-node.ts';
import { programOptions } from '../lab/programs.ts';

/** `npm run bench -- controller --nodes 100,1000`: what a mesh of that size costs its controller. */
const values = programOptions({ nodes: { type: 'string', default: '10,100,1000' } });

const ARRIVED = { from: '127.0.0.1', to: { address: '127.0.0.1', port: 1 } };

interface Figures {
  readonly nodes: number;
  /** Synced to the disk, many at once. */
  readonly scoresPerSecond: number;
  /** From asking for a new epoch until it is committed, and until all streams are written, ms. */
  readonly epochMs: number;
  readonly committedToPushedMs: number;
  /** Longest the event loop stood still meanwhile, ms. */
  readonly epochBlocksMs: number;
  /** Ready to be sent, one after the other: sealed, signed, with keys for all members. */
  readonly configsPerSecond: number;
  /** CPU of one of them, all threads: what counts on a machine that has other work, too. */
  readonly configCpuMs: number;
  readonly configKilobytes: number;
  /** All nodes ask over HTTP at once: until the last has its config, s. */
  readonly everyConfigS: number;
  readonly everyConfigBlocksMs: number;
  readonly epochDocumentMs: number;
}

async function measure(count: number): Promise<Figures> {
  const state = mkdtempSync(join(tmpdir(), 'meshnet-bench-'));
  let committedAt = 0;
  let pushedAt = 0;
  const controller = await startController({
    state: openState(state),
    listen: { host: '127.0.0.1', port: 0 },
    settings: { epochS: 3600, tunnelPrefix: '10.10.0.0/16', pairwiseUpTo: null },
    crypto: defaultProvider(),
    random: (length) => new Uint8Array(randomBytes(length)),
    onEvent: ({ event }) => {
      if (event === 'epoch_committed') committedAt = performance.now();
    },
  });
  try {
    // Requests signed in the second of the start are refused.
    await new Promise((resolve) => setTimeout(resolve, 1100));
    const nodes = await enrolled(controller, count);
    const scoresPerSecond = await scores(controller, nodes);
    const { directory, governor, configs, streams } = controller.services;
    for (const { nodeId } of nodes) {
      const write = () => {
        pushedAt = performance.now();
      };
      streams.add(nodeId, { backlog: 0, write, end: () => {} });
    }
    const [epochMs, epochBlocksMs] = await watched(() => governor.rotate());
    const committedToPushedMs = pushedAt - committedAt;
    const first = directory.nodes.get(nodes[0]!.nodeId)!;
    const { servable } = governor;
    await configs.build(first, servable!, 'AAAAAAAAAAAAAAAAAAAAAA', PROTOCOL);
    const rounds = Math.max(5, Math.min(200, 20_000 / count));
    const started = performance.now();
    const cpu = process.cpuUsage();
    let bytes = 0;
    for (let i = 0; i < rounds; i++) {
      const node = directory.nodes.get(nodes[i % count]!.nodeId)!;
      bytes = JSON.stringify(
        await configs.build(node, servable!, 'AAAAAAAAAAAAAAAAAAAAAA', PROTOCOL),
      ).length;
    }
    const { user, system } = process.cpuUsage(cpu);
    const configsPerSecond = (1000 * rounds) / (performance.now() - started);
    const [everyMs, everyConfigBlocksMs] = await watched(() => fetchAll(controller, nodes));
    const asked = performance.now();
    await controller.services.governor.verdicts();
    await call({ socketPath: controller.adminSocket, path: '/v1/epoch' });
    return {
      nodes: count,
      scoresPerSecond: Math.round(scoresPerSecond),
      epochMs: round(epochMs),
      committedToPushedMs: round(committedToPushedMs),
      epochBlocksMs: round(epochBlocksMs),
      configsPerSecond: Math.round(configsPerSecond),
      configCpuMs: round((user + system) / 1000 / rounds),
      configKilobytes: Math.round(bytes / 1000),
      everyConfigS: round(everyMs / 1000),
      everyConfigBlocksMs: round(everyConfigBlocksMs),
      epochDocumentMs: round(performance.now() - asked),
    };
  } finally {
    await controller.close();
    rmSync(state, { recursive: true });
  }
}

async function enrolled(controller: Controller, count: number): Promise<TestNode[]> {
  const { services } = controller;
  const nodes: TestNode[] = [];
  for (let i = 0; i < count; i++) {
    const node = new TestNode(`node-${String(i).padStart(5, '0')}`, i + 1);
    const token = await issueToken(services, { kind: 'admin' }, { node_id: null, ttl_s: 60 });
    const body = node.enrolment(orRefuse(token).token);
    orRefuse(await enrol(services, { body, arrival: ARRIVED }));
    nodes.push(node);
  }
  return nodes;
}

async function scores(controller: Controller, nodes: readonly TestNode[]): Promise<number> {
  const { meshId, services } = controller;
  const bodies = nodes.map((node) => node.score(meshId, 0.9, Date.now()));
  const started = performance.now();
  // As many as arrive in one turn of the loop.
  for (let i = 0; i < bodies.length; i += 50) {
    const some = nodes.slice(i, i + 50);
    const reports = some.map(({ nodeId }, j) =>
      reportScore(services, { nodeId, body: bodies[i + j], from: ARRIVED.from }),
    );
    for (const answer of await Promise.all(reports)) orRefuse(answer);
  }
  return (1000 * nodes.length) / (performance.now() - started);
}

async function fetchAll(controller: Controller, nodes: readonly TestNode[]): Promise<void> {
  const lanes = Array.from({ length: 32 }, async (_, lane) => {
    for (let i = lane; i < nodes.length; i += 32) {
      const node = nodes[i]!;
      const url = `${controller.url}/v1/config/${node.nodeId}`;
      for (;;) {
        const headers = node.signed(url, SIGNATURE_TAGS.config, controller.services.clock.now());
        const answer = await call(url, { headers });
        if (answer.status === 200) break;
        if (answer.status !== 503) throw new Error(answer.text);
        await new Promise((resolve) => setTimeout(resolve, 500)); // overloaded: asks again
      }
    }
  });
  await Promise.all(lanes);
}

/** Duration of the work and the longest stand-still of the event loop in it, ms. */
async function watched(work: () => Promise<unknown>): Promise<[number, number]> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  await new Promise((resolve) => setTimeout(resolve, 20));
  delay.enable();
  await new Promise((resolve) => setTimeout(resolve, 20)); // what blocks is seen between two ticks
  const started = performance.now();
  await work();
  const took = performance.now() - started;
  await new Promise((resolve) => setTimeout(resolve, 20));
  delay.disable();
  return [took, delay.max / 1e6];
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

for (const count of values.nodes.split(',')) {
  process.stdout.write(`${JSON.stringify(await measure(Number(count)))}\n`);
}
