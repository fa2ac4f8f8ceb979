import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { rotate } from '../../src/controller/operations/rotate.ts';
import { orRefuse } from '../../src/controller/problem-error.ts';
import { meshnet } from '../cli/support/run-meshnet.ts';
import { until } from '../lab/netns.ts';
import { NodeRig, type StartedNode } from './node-rig.ts';

const MESHNET = new URL('../../src/cli/meshnet.ts', import.meta.url).pathname;

/** A mesh of two members and a node that is out, which people ask by `meshnet`. */
let rig: NodeRig;
let a: StartedNode;
let b: StartedNode;
const state = (name: string) => join(rig.directory.path, name);
const nowhere = () => join(rig.directory.path, 'no.sock');
const soon = { timeout: 30_000, interval: 20 };

beforeAll(async () => {
  rig = await NodeRig.open({ epochS: 60 });
  a = await rig.node('a', () => 0.9);
  b = await rig.node('b', () => 0.9);
  const c = await rig.node('c', () => 0.4);
  const leaking = async () => {
    const key = readFileSync(join(state('leaky'), 'signing.key'), 'utf8').trim();
    throw new Error(`exit 1: ${key} OPENAI_API_KEY=planted-in-text https://u:planted@h/`);
  };
  const sources = [{ suite: 'alignment', source: leaking }];
  await rig.node('leaky', () => 0, { sources });
  // The epoch that follows their first scores decides about all of them, at once.
  const hasScored = ({ events }: StartedNode) => events.some(({ event }) => event === 'score');
  await until(() => [a, b, c].every(hasScored), 'scores of three nodes');
  orRefuse(await rotate(rig.controller.services, { kind: 'admin' }));
  await until(() => {
    const { peers, probes } = a.node.status();
    return peers.length === 1 && probes.length > 1;
  }, 'a member that knows of both others');
});
afterAll(() => rig.close());

test('only the user of the node may open its socket', () => {
  expect(statSync(join(state('a'), 'node.sock')).mode & 0o777).toBe(0o600);
});

test('a member answers a ping with its path, handshake and round trip', async () => {
  const { code, out } = await meshnet('ping', 'b', '--state', state('a'), '--count', '1');
  expect(out).toMatch(
    /^b 10\.10\.0\.\d+: [\d.]+ ms, by 127\.0\.0\.1:\d+, handshake [\d.]+ m?s ago\n$/,
  );
  expect(code).toBe(0);
});

test('a node that is out answers none, and it is said why; a name that is none is refused', async () => {
  const out = await meshnet('ping', 'c', '--state', state('a'), '--count', '1', '--json');
  expect(JSON.parse(out.out)).toMatchObject({ node: 'c', allowed: false, rtt_ms: null });
  expect(JSON.parse(out.err)).toMatchObject({ error: { code: 'no_answer' } });
  expect(out.code).toBe(1);
  expect(await meshnet('ping', 'z', '--state', state('a'))).toMatchObject({ code: 4 });
  const hostile = await meshnet('ping', '../stop?\u001b[2J', '--state', state('a'));
  expect(hostile).toMatchObject({ code: 4 });
  expect(hostile.err).not.toContain('\u001b');
});

test('events of a node are told where there is no controller, and followed until a signal', async () => {
  const where = ['--state', state('a'), '--socket', nowhere()];
  const { out } = await meshnet('events', ...where);
  expect(out).toMatch(/^\d{4}-\S+Z a is up: userspace/m);
  expect(out).not.toContain('probe');
  const follow = spawn(
    process.execPath,
    [MESHNET, 'events', '--follow', '--all', '--json', ...where],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  onTestFinished(() => void follow.kill('SIGKILL'));
  let text = '';
  follow.stdout!.on('data', (more) => {
    text += more;
  });
  await expect.poll(() => text, { timeout: 20_000 }).toContain('"event":"probe"');
  expect(text).toContain('"event":"enrolled","node":"a"');
  follow.kill('SIGTERM');
  expect(await once(follow, 'exit')).toEqual([0, null]);
});

test('wait-ready returns for a member, and for a node that is out says why in the end', async () => {
  const wait = (name: string, ...more: string[]) =>
    meshnet('wait-ready', '--state', state(name), '--socket', nowhere(), ...more);
  await expect.poll(() => a.node.status().ready_reason, soon).toBe('ready');
  expect(await wait('a')).toMatchObject({ code: 0, out: 'a: ready\n' });
  const denied = await wait('c', '--timeout', '1');
  expect(denied.code).toBe(1);
  expect(denied.err).toMatch(/not ready within 1 s: c: denied: .*0\.4/);
  expect(await wait('none', '--timeout', '0')).toMatchObject({ code: 1 });
  const socket = join(rig.state, 'admin.sock');
  expect(await meshnet('wait-ready', '--socket', socket)).toMatchObject({ code: 0 });
});

test('wait-out returns when a node is out, by the word of the controller and at a node', async () => {
  const socket = join(rig.state, 'admin.sock');
  const at = (name: string, ...more: string[]) =>
    meshnet('wait-out', name, '--state', state('a'), '--timeout', '1', ...more);
  const told = await at('c', '--socket', socket);
  expect(told).toMatchObject({ code: 0 });
  expect(told.out).toMatch(/^c: out in epoch \d+: .*0\.4/);
  expect((await at('c', '--socket', nowhere())).out).toMatch(/^c: out, a has no keys with it/);
  const member = await at('b', '--socket', socket);
  expect([member.code, member.err]).toEqual([
    1,
    expect.stringMatching(/not out within 1 s: b is a member/),
  ]);
  const keys = await at('b', '--socket', nowhere());
  expect([keys.code, keys.err]).toEqual([
    1,
    expect.stringMatching(/not out within 1 s: a has keys with b/),
  ]);
  const mistyped = await at('bb', '--socket', socket);
  expect(mistyped).toMatchObject({ code: 4 });
  expect(mistyped.err).toContain('Did you mean b?');
});

test('a node that has stopped is not asked in vain', async () => {
  b.stop.abort();
  await b.node.ended;
  const { code, err } = await meshnet('ping', 'a', '--state', state('b'));
  expect([code, err]).toEqual([
    3,
    `meshnet: no node runs in ${state('b')}; start one, or name its --state\n`,
  ]);
});

test('a report about a node holds what happened, and no secret that came along', async () => {
  const token = await meshnet('token', 'create', '--socket', join(rig.state, 'admin.sock'));
  vi.stubEnv('MESHNET_TOKEN', token.out.trim());
  onTestFinished(() => void vi.unstubAllEnvs());
  const leaky = state('leaky');
  const failed = () => meshnet('events', '--state', leaky, '--socket', nowhere());
  await until(async () => (await failed()).out.includes('no score delivered'), 'a failed score');
  expect((await failed()).out).toContain('planted');
  for (const socket of [nowhere(), join(rig.state, 'admin.sock')]) {
    const { code, out } = await meshnet('bugreport', '--state', leaky, '--socket', socket);
    expect(code).toBe(0);
    expect(out).toContain('score_failed');
    expect(out).toContain('## Doctor');
    expect(out).not.toContain('planted');
    expect(out).not.toContain(token.out.trim().split('.')[1]);
    for (const key of ['wireguard.key', 'signing.key', 'sealing.key']) {
      expect(out).not.toContain(readFileSync(join(leaky, key), 'utf8').trim());
    }
    expect(out).not.toContain(readFileSync(join(rig.state, 'controller.key'), 'utf8').trim());
  }
});

test('a node that leaves tells the controller first, ends, and leaves no key', async () => {
  const leave = (...more: string[]) =>
    promisify(execFile)(process.execPath, [MESHNET, 'leave', '--state', state('a'), ...more]);
  const nobody = await leave('--controller', 'http://127.0.0.1:9').catch((error) => error);
  expect(nobody).toMatchObject({ code: 3 });
  expect(nobody.stderr).toContain('Nothing has changed');
  expect(existsSync(join(state('a'), 'signing.key'))).toBe(true);
  const { stdout } = await leave();
  expect(stdout).toBe('a has left, its keys are deleted\n');
  await a.node.ended;
  expect(existsSync(state('a')) && readdirSync(state('a'))).toBe(false);
  const known = await meshnet('events', '--socket', join(rig.state, 'admin.sock'));
  expect(known.out).toMatch(/ a left, with epoch \d+\.\d+$/m);
  const nodes = await meshnet('node', 'list', '--socket', join(rig.state, 'admin.sock'));
  expect(nodes.out).not.toMatch(/^a /m);
  await expect(leave()).rejects.toMatchObject({ code: 1 });
});
