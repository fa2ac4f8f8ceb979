import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { EpochDocument } from '../../src/contract/epoch.ts';
import { type LabNode, MeshLab } from './mesh-lab.ts';

const EPOCH_S = 3;
const FRESHNESS_S = 2 * EPOCH_S;
const LIFETIME_S = 3 * EPOCH_S;

describe('parts of a mesh go away and come back', () => {
  let lab: MeshLab;
  let a: LabNode;
  let b: LabNode;

  beforeAll(async () => {
    lab = await MeshLab.open('userspace', ['node-a', 'node-b'], EPOCH_S);
    await lab.startController();
    a = await lab.startNode('node-a');
    b = await lab.startNode('node-b');
    await lab.allTalk([a, b]);
  });
  afterAll(() => lab?.close());

  const members = (epoch: EpochDocument) =>
    epoch.nodes.filter((node) => node.allowed).map((node) => node.node_id);
  const said = (node: LabNode, event: string, since: number) =>
    node.heard.filter((one) => one.at >= since && one.event.event === event);

  test('the controller is killed: members go on, fail closed at the end of the lifetime, and recover by themselves', async () => {
    const before = await lab.epoch();
    await lab.killController();
    const gone = performance.now();
    await delay(FRESHNESS_S * 1000);
    for (const node of [a, b]) expect(said(node, 'fail_closed', gone)).toEqual([]);
    expect(lab.answered(a, 'node-b', gone + 2000)).toBe(true); // no controller, but a mesh
    await delay((LIFETIME_S - FRESHNESS_S + 1) * 1000);
    for (const node of [a, b]) expect(said(node, 'fail_closed', gone)).toHaveLength(1);
    const closed = performance.now();
    await delay(5000);
    expect(lab.answered(a, 'node-b', closed + 1000)).toBe(false);

    await lab.startController();
    const back = performance.now();
    await lab.allTalk([a, b]);
    const took = Math.round(performance.now() - back);
    console.info(
      `away for ${Math.round((back - gone) / 1000)} s; talking again ${took} ms after the return`,
    );
    for (const node of [a, b]) expect(said(node, 'recovered', back - 2000)).toHaveLength(1);
    const after = await lab.epoch();
    expect(after.epoch).toBeGreaterThan(before.epoch);
    expect(members(after)).toEqual(['node-a', 'node-b']);
    expect(after.exclusions).toBe(0); // the outage was the controller's, not theirs
  });

  test('a node that is killed comes back as itself, without a token and without reusing a sequence', async () => {
    process.kill(b.pid, 'SIGKILL');
    const killed = performance.now();
    const sequences = b.heard.flatMap(({ event }) =>
      event.event === 'score' ? [event.sequence] : [],
    );
    b = await lab.startNode('node-b');
    await lab.allTalk([a, b]);
    console.info(`restarted, talking ${Math.round(performance.now() - killed)} ms after kill -9`);
    await lab.until(() => said(b, 'score', killed).length > 0, 'a score');
    const [first] = said(b, 'score', killed);
    expect(first!.event).toMatchObject({ event: 'score' });
    if (first!.event.event === 'score') {
      expect(first!.event.sequence).toBeGreaterThan(Math.max(...sequences));
    }
    expect(said(b, 'enrolled', killed)).toEqual([]);
  });

  test('a node that falls silent is out within freshness and one epoch, and back when it wakes', async () => {
    const since = performance.now();
    process.kill(b.pid, 'SIGSTOP');
    try {
      const isOut = async () => !members(await lab.epoch()).includes('node-b');
      await lab.until(isOut, 'the exclusion', (FRESHNESS_S + EPOCH_S + 2) * 1000);
      const { nodes } = await lab.epoch();
      expect(nodes.find((node) => node.node_id === 'node-b')?.reason).toBe('score_too_old');
      await lab.until(
        () => a.heard.some(({ at, event }) => at >= since && event.event === 'removed'),
        'the push to node-a',
        1000,
      );
    } finally {
      process.kill(b.pid, 'SIGCONT');
    }
    await lab.allTalk([a, b]);
    expect(said(b, 'stopped', since)).toEqual([]);
  });

  test('a removed node is out at once and cannot come back by itself', async () => {
    const since = performance.now();
    await lab.ask('DELETE', '/v1/nodes/node-b');
    await lab.until(() => said(a, 'removed', since).length > 0, 'the push to node-a', 1000);
    const removed = performance.now();
    await delay(2 * EPOCH_S * 1000);
    expect(members(await lab.epoch())).toEqual(['node-a']);
    expect(lab.answered(a, 'node-b', removed)).not.toBe(true);
    const refusals = said(b, 'controller', since);
    expect(refusals.length).toBeGreaterThan(0);
  });
});
