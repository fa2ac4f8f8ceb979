import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openBackend } from '../../src/agent/backend.ts';
import { systemClock } from '../../src/agent/clock.ts';
import type { AgentEvent } from '../../src/agent/events.ts';
import { type RunningNode, startNode } from '../../src/agent/node.ts';
import { defaultProvider } from '../../src/crypto/select.ts';
import { ControllerProcess } from '../controller/support/controller-process.ts';

const TEN_MINUTES = 600_000;
const EPOCH_S = 3;

/** A whole node in this process, with a wall clock that is wrong by as much as one says. */
class ShiftedNode {
  /** ms. */
  shift: number;
  readonly events: AgentEvent[] = [];
  private readonly id: string;
  private readonly stopping = new AbortController();
  private readonly directory = mkdtempSync(join(tmpdir(), 'meshnet-shifted-'));
  private node: RunningNode | undefined;

  constructor(id: string, shift: number) {
    this.id = id;
    this.shift = shift;
  }

  async start(controller: ControllerProcess): Promise<void> {
    this.node = await startNode(
      {
        stateDirectory: join(this.directory, 'node'),
        nodeId: this.id,
        token: await controller.token(),
        controllerUrl: controller.url,
        advertise: '127.0.0.1',
        listenPort: 0,
        emitMs: 300,
        pollMs: 1000,
        probeMs: 400,
        sources: [{ suite: 'alignment', source: async () => ({ score: 0.9 }) }],
        samples: 5,
        push: true,
      },
      {
        fetch,
        clock: { ...systemClock, wall: () => Date.now() + this.shift },
        crypto: defaultProvider(),
        randomBytes: (length) => new Uint8Array(randomBytes(length)),
        random: Math.random,
        emit: (event) => void this.events.push(event),
        openBackend: (options) => openBackend({ ...options, kind: 'userspace', name: 'mesh0' }),
      },
      this.stopping.signal,
    );
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.node?.ended.catch(() => {});
    rmSync(this.directory, { recursive: true, force: true });
  }
}

const controller = new ControllerProcess(['--epoch', String(EPOCH_S)]);
const nodes = [
  new ShiftedNode('right', 0),
  new ShiftedNode('ahead', TEN_MINUTES),
  new ShiftedNode('behind', -TEN_MINUTES),
];
const ids = ['ahead', 'behind', 'right'];

beforeAll(async () => {
  await controller.start();
  for (const node of nodes) await node.start(controller);
});
afterAll(async () => {
  for (const node of nodes) await node.stop();
  await controller.remove();
});

async function members(): Promise<string[]> {
  const { nodes: all } = await controller.epoch();
  return all.filter((node) => node.allowed).map((node) => node.node_id);
}

async function until(what: string, check: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!(await check())) {
    if (performance.now() > deadline) throw new Error(`${what}: not in time`);
    await delay(50);
  }
}

/** Until every node has reached both others after now. */
async function allTalk(): Promise<void> {
  const since = nodes.map((node) => node.events.length);
  await until('everybody reaches everybody', () =>
    nodes.every((node, i) => {
      const reached = node.events
        .slice(since[i])
        .flatMap((event) => (event.event === 'probe' && event.ok ? [event.node] : []));
      return new Set(reached).size === nodes.length - 1;
    }),
  );
}

/** Members of the epochs that were committed since that many lines of the log. */
function committedSince(lines: number): string[][] {
  return controller.log
    .slice(lines)
    .map((line) => JSON.parse(line) as { event?: string; members: string[] })
    .filter((entry) => entry.event === 'epoch_committed')
    .map((entry) => entry.members);
}

test('nodes whose wall clocks are ten minutes off, both ways, are members like any other', async () => {
  await until('membership', async () => (await members()).length === 3);
  await allTalk();
  expect(await members()).toEqual(ids);
});

test('their clocks step by twenty minutes while they run, and nothing happens', async () => {
  const lines = controller.log.length;
  const before = nodes.map((node) => node.events.length);
  for (const node of nodes) node.shift = node.shift > 0 ? -TEN_MINUTES : TEN_MINUTES;
  await delay(4 * EPOCH_S * 1000);
  const seen = committedSince(lines);
  expect(seen.length).toBeGreaterThan(2);
  for (const one of seen) expect(one).toEqual(ids);
  await allTalk();
  for (const [i, node] of nodes.entries()) {
    const bad = node.events.slice(before[i]).filter((event) => event.event === 'fail_closed');
    expect(bad).toEqual([]);
  }
});

test('the controller stands still for longer than scores are fresh, and denies nobody', async () => {
  const lines = controller.log.length;
  controller.signal('SIGSTOP');
  await delay(4 * EPOCH_S * 1000); // freshness is two epochs, a config's lifetime three
  controller.signal('SIGCONT');
  await until('epochs go on', () => committedSince(lines).length >= 3);
  for (const one of committedSince(lines)) expect(one).toEqual(ids);
  await allTalk();
});
