import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../src/agent/clock.ts';
import { parseScoreOrigin, scoreFrom } from '../../src/agent/harness/score-from.ts';
import { NodeRig, type StartedNode } from './node-rig.ts';

let rig: NodeRig;
beforeEach(async () => {
  rig = await NodeRig.open({ epochS: 1.5 });
});
afterEach(() => rig.close());

const node: NodeRig['node'] = (...parameters) => rig.node(...parameters);

const lastProbe = ({ events }: StartedNode, to: string) =>
  events.findLast((event) => event.event === 'probe' && event.node === to);
const reaches = (from: StartedNode, to: string) => {
  const probe = lastProbe(from, to);
  return probe?.event === 'probe' ? probe.ok : undefined;
};
const soon = { timeout: 10_000, interval: 20 };

test('members talk, the denied one does not, and a node whose score falls is cut off', async () => {
  let score = 0.9;
  const a = await node('a', () => 0.9, { metrics: { host: '127.0.0.1', port: 0 } });
  const b = await node('b', () => score);
  const c = await node('c', () => 0.4);
  await expect.poll(() => reaches(a, 'b') && reaches(b, 'a'), soon).toBe(true);
  const well = { state: 'member', ready: true, push: true };
  await expect.poll(() => a.node.status(), soon).toMatchObject(well);
  expect(a.node.status().peers.map((peer) => peer.node_id)).toEqual(['b']);
  const out = { state: 'denied', ready: false, allowed: false };
  await expect.poll(() => c.node.status(), soon).toMatchObject(out);
  expect(reaches(a, 'c')).not.toBe(true);
  score = 0.1;
  await expect.poll(() => b.node.status().state, soon).toBe('denied');
  await expect.poll(() => reaches(a, 'b'), soon).toBe(false);
  expect(a.events.some((event) => event.event === 'removed')).toBe(true);
  score = 0.95;
  await expect.poll(() => reaches(a, 'b') && reaches(b, 'a'), soon).toBe(true);
});

test('a node that stops tells nobody a secret and leaves private files', async () => {
  const a = await node('a', () => 0.9);
  await expect.poll(() => a.node.status().state, soon).toBe('member');
  const state = join(rig.directory.path, 'a');
  for (const name of ['wireguard.key', 'signing.key', 'sealing.key', 'status.json', 'mark.json']) {
    expect(statSync(join(state, name)).mode & 0o077, name).toBe(0);
  }
  expect(statSync(state).mode & 0o077).toBe(0);
  a.stop.abort();
  await a.node.ended;
  expect(a.events.at(-1)).toEqual({ event: 'stopped' });
});

test('a node that comes back is the same one, on another port if its own is taken', async () => {
  const first = await node('a', () => 0.9);
  const port = first.node.enrolment.listen_port;
  first.stop.abort();
  await first.node.ended;
  const squatter = createSocket('udp4');
  squatter.bind(port);
  await once(squatter, 'listening');
  try {
    const again = await node('a', () => 0.9);
    expect(again.node.enrolment.tunnel_address).toBe(first.node.enrolment.tunnel_address);
    expect(again.events[0]).toMatchObject({ event: 'device_note' });
    expect(again.events.some((event) => event.event === 'enrolled')).toBe(false);
    const b = await node('b', () => 0.9);
    await expect.poll(() => reaches(again, 'b') && reaches(b, 'a'), soon).toBe(true);
  } finally {
    squatter.close();
  }
});

test('a state directory belongs to one node', async () => {
  const { stop, node: a } = await node('a', () => 0.9);
  stop.abort();
  await a.ended;
  const wrong = node('b', () => 0.9, { stateDirectory: join(rig.directory.path, 'a') });
  await expect(wrong).rejects.toMatchObject({ code: 'wrong_node' });
});

test('results of a harness admit a node and cut it; a file that nobody writes any more is not fresh', async () => {
  const template = join(import.meta.dirname, '../agent/harness/files/promptfoo.json');
  const output = JSON.parse(readFileSync(template, 'utf8')) as {
    results: { timestamp: string; results: { score: number }[] };
  };
  const file = join(rig.directory.path, 'out.json');
  let score = 0.9;
  const run = () => {
    output.results.timestamp = new Date().toISOString();
    for (const one of output.results.results) one.score = score;
    writeFileSync(file, JSON.stringify(output));
  };
  run();
  const harness = setInterval(run, 300);
  try {
    const origin = parseScoreOrigin(`promptfoo:${file}`)!;
    const source = scoreFrom(origin, { clock: systemClock, minDone: 0.9 });
    const a = await node('a', () => 0, { sources: [{ suite: 'alignment', source }] });
    const state = () => a.node.status().state;
    await expect.poll(state, soon).toBe('member');
    score = 0.2;
    await expect.poll(state, soon).toBe('denied');
    await expect.poll(() => a.node.status().reason, soon).toBe('score_below_threshold');
    score = 0.95;
    await expect.poll(state, soon).toBe('member');
    clearInterval(harness);
    await expect.poll(state, soon).toBe('denied');
    expect(a.node.status().reason).toMatch(/stale|old|fresh/);
  } finally {
    clearInterval(harness);
  }
});
