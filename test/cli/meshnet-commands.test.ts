import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/agent/clock.ts';
import { ControllerClient } from '../../src/agent/controller-client.ts';
import { enrol } from '../../src/agent/enrol.ts';
import { rememberController } from '../../src/agent/known-controller.ts';
import { ensureNodeKeys } from '../../src/agent/node-keys.ts';
import { readEpoch } from '../../src/cli/read-epoch.ts';
import { toBase64 } from '../../src/contract/encoding.ts';
import { parseJoinToken } from '../../src/contract/join-token.ts';
import { writeKeyFile } from '../../src/contract/key-file.ts';
import { type Controller, openState, startController } from '../../src/controller/controller.ts';
import { defaultProvider } from '../../src/crypto/select.ts';
import { meshnet } from './support/run-meshnet.ts';

let directory: string;
let controller: Controller;
let socket: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'meshnet-cli-'));
  controller = await startController({
    state: openState(join(directory, 'controller')),
    listen: { host: '127.0.0.1', port: 0 },
    crypto: defaultProvider(),
    random: (length) => new Uint8Array(randomBytes(length)),
  });
  socket = controller.adminSocket;
});
afterAll(async () => {
  await controller.close();
  rmSync(directory, { recursive: true });
});

const json = (text: string) => JSON.parse(text) as Record<string, unknown>;

test('tokens are shown once and listed without their secret', async () => {
  const created = await meshnet('token', 'create', '--socket', socket, '--ttl', '10m');
  expect(created.code).toBe(0);
  const token = parseJoinToken(created.out)!;
  expect(token.fingerprint).toEqual(controller.meshId);
  const listed = await meshnet('token', 'list', '--socket', socket);
  expect(listed.out).toContain(token.id);
  expect(listed.out).not.toContain(created.out.trim().split('.')[1]);
});

test('a token for many nodes says for which, how many and for how long they may be silent', async () => {
  const scope = ['--names', 'web-*', '--uses', 'any', '--ephemeral', '10m', '--ttl', '30d'];
  const { out } = await meshnet('token', 'create', '--socket', socket, ...scope);
  const { id } = parseJoinToken(out)!;
  const listed = await meshnet('token', 'list', '--socket', socket);
  expect(listed.out).toMatch(new RegExp(`^${id} +web-\\* +any +10 min `, 'm'));
  const wrong = await meshnet('token', 'create', '--socket', socket, '--uses', 'some');
  expect(wrong).toMatchObject({ code: 2 });
});

test('node add prints the command for the new machine', async () => {
  const { out } = await meshnet('node', 'add', 'node-x', '--socket', socket);
  expect(out).toMatch(/MESHNET_TOKEN=\S+ meshnet node --name node-x --controller URL/);
  const asJson = await meshnet('node', 'add', 'node-x', '--socket', socket, '--json');
  expect(json(asJson.out)).toMatchObject({ node_id: 'node-x' });
  expect((await meshnet('node', 'add', 'Node_X', '--socket', socket)).code).toBe(2);
});

test('epoch, rotate, status and node list tell the state, for people and as JSON', async () => {
  const before = json((await meshnet('epoch', '--socket', socket, '--json')).out);
  const rotated = await meshnet('rotate', '--socket', socket);
  expect(rotated).toMatchObject({ code: 0, out: `epoch ${Number(before.epoch) + 1} has begun\n` });
  expect((await meshnet('epoch', '--socket', socket)).out).toMatch(
    /^epoch \d+\.\d+, started .*0 of 0/,
  );
  const options = ['--socket', socket, '--state', directory];
  expect((await meshnet('status', ...options)).out).toMatch(/^epoch \d+, next rotation/);
  expect(json((await meshnet('status', ...options, '--json')).out)).toMatchObject({ nodes: [] });
  expect(json((await meshnet('node', 'list', '--socket', socket, '--json')).out)).toEqual([]);
  const overNetwork = await meshnet('epoch', '--url', controller.url, '--json');
  expect(json(overNetwork.out)).toMatchObject({ epoch: Number(before.epoch) + 1 });
});

test('a policy is checked, set and shown', async () => {
  const file = join(directory, 'another-policy.json');
  const write = (threshold: number) =>
    writeFileSync(
      file,
      JSON.stringify({ version: 2, suites: [{ suite: 'alignment', threshold }] }),
    );
  write(0.65);
  const checked = await meshnet('policy', 'check', file);
  expect(checked.out).toContain('alignment: score >= 0.65 and age <= 120 s\n');
  const dry = await meshnet('policy', 'set', file, '--socket', socket, '--dry-run');
  expect(dry.out).toContain('0 of 0 members would be cut');
  const set = await meshnet('policy', 'set', file, '--socket', socket);
  expect(set.out).toMatch(/would be cut\nset: judged by it from the next epoch on\n$/);
  const shown = await meshnet('policy', 'show', '--socket', socket, '--json');
  expect(json(shown.out)).toMatchObject({ rules: ['alignment: score >= 0.65 and age <= 120 s'] });
  write(6.5);
  for (const words of [
    ['check', file],
    ['set', file, '--socket', socket],
  ]) {
    const { code, err } = await meshnet('policy', ...words);
    expect(code).toBe(words[0] === 'check' ? 2 : 4);
    expect(err).toContain('suites[0].threshold');
  }
});

test('what the brake holds is told, and where that is nobody it is not released', async () => {
  const told = await meshnet('policy', 'brake', '--socket', socket);
  expect(told).toMatchObject({ code: 0, out: 'the brake holds nobody\n' });
  const released = await meshnet('policy', 'brake', '--release', '--socket', socket);
  expect(released).toMatchObject({ code: 4 });
  expect(released.err).toContain('holds nobody');
});

test('exit codes and messages say what went wrong', async () => {
  const nobody = await meshnet('status', '--socket', join(directory, 'none'), '--state', directory);
  expect(nobody).toMatchObject({ code: 3 });
  expect(nobody.err).toContain('Is the controller running?');
  const unknown = await meshnet('why', 'node-z', '--socket', socket);
  expect(unknown).toMatchObject({ code: 4, err: 'meshnet: there is no node node-z.\n' });
  const asJson = await meshnet('why', 'node-z', '--socket', socket, '--json');
  expect(json(asJson.err)).toMatchObject({ error: { code: 'unknown_node' } });
  expect(await meshnet('node', 'remove', 'node-z', '--socket', socket)).toMatchObject({ code: 4 });
  const refused = await meshnet('token', 'create', '--socket', socket, '--ttl', '366d');
  expect(refused).toMatchObject({ code: 4 });
  expect(refused.err).toContain('ttl_s');
});

test('a slip on the command line is answered with what was meant', async () => {
  const command = await meshnet('staus');
  expect(command).toMatchObject({ code: 2 });
  expect(command.err).toContain('Did you mean status?');
  const option = await meshnet('rotate', '--scoket', 'x');
  expect(option).toMatchObject({ code: 2 });
  expect(option.err).toContain('Did you mean --socket?');
  const value = await meshnet('node', '--score-mean', '1.5');
  expect(value.err).toContain('Expected a number from 0 to 1');
  expect((await meshnet('demo', '--scenario', 'panic')).err).toContain('steady, decay, recover');
  expect((await meshnet('node', '--backend', 'windows')).code).toBe(2);
});

test('help names every command and the exit codes', async () => {
  const { code, out } = await meshnet('--help');
  expect(code).toBe(0);
  for (const word of 'controller node demo status why epoch rotate token keygen Exit'.split(' ')) {
    expect(out).toContain(word);
  }
  expect((await meshnet('node', '--help')).out).toContain('uapi:SOCKET');
});

test('keygen makes private key files and shows the public keys only', async () => {
  const state = join(directory, 'node');
  const made = await meshnet('keygen', '--state', state, '--json');
  expect(Object.keys(json(made.out))).toEqual(['state', 'wireguard', 'signing', 'sealing']);
  for (const name of ['wireguard', 'signing', 'sealing']) {
    expect(statSync(join(state, `${name}.key`)).mode & 0o777).toBe(0o600);
  }
  expect((await meshnet('keygen', '--state', state, '--json')).out).toBe(made.out);
  chmodSync(join(state, 'signing.key'), 0o644);
  const open = await meshnet('keygen', '--state', state);
  expect(open).toMatchObject({ code: 5 });
  expect(open.err).toContain('chmod 600');
  writeFileSync(join(state, 'signing.key'), 'oops\n', { mode: 0o600 });
  expect((await meshnet('node', '--state', state, '--controller', controller.url)).code).toBe(5);
});

test.each([
  [
    ['--backend', 'linux', '--interface', 'lo'],
    /--interface lo: .*interface lo|needs CAP_NET_ADMIN/,
  ],
  [['--backend', 'linux', '--interface', 'a/b'], /not an interface name: a\/b|TUN device/],
  [['--backend', 'uapi:/nowhere/wg0.sock'], /foreign device: .*ENOENT/],
])('a node that could have no tunnel spends no token: %s', async (backend, why) => {
  const created = await meshnet('token', 'create', '--node', 'node-t', '--socket', socket);
  const token = ['--name', 'node-t', '--token', created.out.trim()];
  const state = ['--state', join(directory, 'tunnelless'), '--controller', controller.url];
  const { code, err } = await meshnet('node', ...state, ...token, ...backend);
  expect(code).not.toBe(0);
  expect(err).toMatch(why);
  const { out } = await meshnet('node', 'list', '--socket', socket, '--json');
  expect(json(out)).not.toContainEqual(expect.objectContaining({ node_id: 'node-t' }));
});

test('a node whose UDP port is taken spends no token, and says which port', async () => {
  const taken = createSocket('udp4').bind(0);
  onTestFinished(() => void taken.close());
  await once(taken, 'listening');
  const { port } = taken.address();
  const created = await meshnet('token', 'create', '--node', 'node-u', '--socket', socket);
  const token = ['--name', 'node-u', '--token', created.out.trim()];
  const state = ['--state', join(directory, 'portless'), '--controller', controller.url];
  const tunnel = ['--backend', 'userspace', '--listen-port', String(port)];
  const { code, err } = await meshnet('node', ...state, ...token, ...tunnel);
  expect(code).not.toBe(0);
  expect(err).toContain(`EADDRINUSE 0.0.0.0:${port}`);
  const { out } = await meshnet('node', 'list', '--socket', socket, '--json');
  expect(json(out)).not.toContainEqual(expect.objectContaining({ node_id: 'node-u' }));
});

test('a node that is not enrolled and has no token, or a wrong one, says so', async () => {
  const state = join(directory, 'other');
  const without = await meshnet('node', '--state', state, '--controller', controller.url);
  expect(without).toMatchObject({ code: 4 });
  expect(without.err).toContain(
    `${state}: no node is enrolled there, and MESHNET_TOKEN is not set`,
  );
  const options = ['--state', state, '--controller', controller.url, '--backend', 'userspace'];
  const wrong = await meshnet('node', ...options, '--name', 'node-y', '--token', 'a.b.c');
  expect(wrong.err).toContain('not a join token');
  const text = (
    await meshnet('token', 'create', '--node', 'node-q', '--socket', socket)
  ).out.trim();
  const another = await meshnet('node', ...options, '--name', 'node-y', '--token', text);
  expect(another).toMatchObject({ code: 4 });
  expect(another.err).toContain('another node');
});

test('an evaluator reports a score from the command line, with its own sequence', async () => {
  const crypto = defaultProvider();
  const random = (length: number) => new Uint8Array(randomBytes(length));
  const key = join(directory, 'evaluator.key');
  const seed = random(32);
  writeKeyFile(key, seed);
  const judged = await startController({
    state: openState(join(directory, 'judged')),
    listen: { host: '127.0.0.1', port: 0 },
    settings: {
      suites: [{ suite: 'red-team', minSamples: 10, signers: 'evaluators' }],
      evaluators: [crypto.ed25519Public(seed)],
    },
    crypto,
    random,
  });
  try {
    const token = (await meshnet('token', 'create', '--socket', judged.adminSocket)).out.trim();
    const client = new ControllerClient({
      fetch,
      clock: systemClock,
      crypto,
      random,
      url: judged.url,
      timeoutMs: 5000,
    });
    const enrolling = {
      client,
      crypto,
      clock: systemClock,
      random: Math.random,
      keys: ensureNodeKeys(join(directory, 'judged-node'), random),
      nodeId: 'node-j',
      token,
      endpoint: null,
      listenPort: 1,
      waiting: () => {},
    };
    await enrol(enrolling, new AbortController().signal);
    judged.services.presence.add('node-j', 1); // as if it had fetched its config
    const mesh = toBase64(judged.meshId);
    const report = (value: string, ...more: string[]) => {
      const options = ['--key', key, '--mesh', mesh, '--controller', judged.url];
      return meshnet(
        'score',
        'node-j',
        value,
        ...options,
        '--suite',
        'red-team',
        '--samples',
        '50',
        ...more,
      );
    };
    expect((await report('0.9')).out).toBe('node-j: 0.9 (red-team, sequence 1) accepted\n');
    expect(json((await report('0.8', '--json')).out)).toMatchObject({ sequence: 2 });
    expect((await report('1.5')).code).toBe(2);
    const foreign = await report('0.9', '--key', join(directory, 'new.key'));
    expect(foreign).toMatchObject({ code: 4 });
    expect(foreign.err).toContain("for the policy's evaluators: ");
    await meshnet('rotate', '--socket', judged.adminSocket);
    const { out } = await meshnet('why', 'node-j', '--socket', judged.adminSocket);
    expect(out).toMatch(
      /node-j is a member .*\n {2}red-team: 0\.800.*passed\n {2}rule of red-team: score >= 0\.70/,
    );
  } finally {
    await judged.close();
  }
});

describe('who asks about the epoch over the network', () => {
  let strict: Controller;
  const member = () => join(directory, 'member');
  const source = (state: string) => ({ state, defaultSocket: join(directory, 'no.sock') });

  beforeAll(async () => {
    const crypto = defaultProvider();
    const random = (length: number) => new Uint8Array(randomBytes(length));
    const key = join(directory, 'judge.key');
    const seed = random(32);
    writeKeyFile(key, seed);
    strict = await startController({
      state: openState(join(directory, 'strict')),
      listen: { host: '127.0.0.1', port: 0 },
      settings: {
        epochOnLoopback: false,
        epochS: 3600, // they are counted: none begins by itself
        suites: [{ suite: 'alignment', minSamples: 1, signers: 'evaluators' }],
        evaluators: [crypto.ed25519Public(seed)],
      },
      crypto,
      random,
    });
    for (const [name, state] of [
      ['node-m', member()],
      ['node-d', join(directory, 'denied')],
    ] as const) {
      const token = (await meshnet('token', 'create', '--socket', strict.adminSocket)).out.trim();
      const client = { fetch, clock: systemClock, crypto, random, url: strict.url };
      await enrol(
        {
          client: new ControllerClient({ ...client, timeoutMs: 5000 }),
          crypto,
          clock: systemClock,
          random: Math.random,
          keys: ensureNodeKeys(state, random),
          nodeId: name,
          token,
          endpoint: null,
          listenPort: 1,
          waiting: () => {},
        },
        new AbortController().signal,
      );
      rememberController(state, strict.url);
      strict.services.presence.add(name, 1); // as if it had fetched its config
    }
    const mesh = toBase64(strict.meshId);
    await meshnet(
      'score',
      'node-m',
      '0.9',
      '--key',
      key,
      '--mesh',
      mesh,
      '--controller',
      strict.url,
    );
    await meshnet('rotate', '--socket', strict.adminSocket);
    // Signatures of the second in which a controller starts are refused: they could be replays.
    await delay(1000 - (Date.now() % 1000));
  });
  afterAll(() => strict.close());

  test('is answered when the node of its machine is a member', async () => {
    const { out, err } = await meshnet('why', 'node-m', '--url', strict.url, '--state', member());
    expect(err).toBe('');
    expect(out).toContain('node-m is a member');
  });

  test('need not name the controller that its node knows', async () => {
    expect((await readEpoch(source(member()))).nodes.map(({ node_id }) => node_id)).toContain(
      'node-m',
    );
  });

  test('is told that it is no member, or that it has no node', async () => {
    const denied = await meshnet(
      'epoch',
      '--url',
      strict.url,
      '--state',
      join(directory, 'denied'),
    );
    expect(denied).toMatchObject({ code: 4 });
    expect(denied.err).toContain('only members may ask this over the network');
    const nobody = await meshnet(
      'epoch',
      '--url',
      strict.url,
      '--state',
      join(directory, 'nobody'),
    );
    expect(nobody.err).toContain(`there is no node in ${join(directory, 'nobody')}`);
    const typo = await meshnet('epoch', '--url', 'controller:8440', '--state', directory);
    expect(typo).toMatchObject({ code: 2 });
    expect(typo.err).toMatch(/--url.*'controller:8440'.*Expected a URL such as http/);
  });

  test('on the controller itself is answered by its socket, whatever the environment names', async () => {
    const controller = 'http://192.0.2.1:9';
    const { adminSocket: defaultSocket } = strict;
    const { epoch } = await readEpoch({ state: directory, defaultSocket, controller });
    expect(epoch).toBe(2);
  });
});

test('a controller that cannot start names the option at fault', async () => {
  const file = join(directory, 'file');
  writeFileSync(file, '');
  const noDirectory = await meshnet('controller', '--state', join(file, 'state'));
  expect(noDirectory).toMatchObject({ code: 1 });
  expect(noDirectory.err).toContain(`--state: ${join(file, 'state')}: cannot be made (`);
  const state = join(directory, 'unheard');
  const elsewhere = await meshnet('controller', '--state', state, '--listen', '192.0.2.77:8440');
  expect(elsewhere.err).toContain('--listen 192.0.2.77:8440: EADDRNOTAVAIL');
  const left = openState(state);
  expect(await left.store.currentEpoch()).toBeUndefined(); // whom nobody can reach decides nothing
  await left.close();
});

test('a backup is announced once, before the controller starts', async () => {
  const state = join(directory, 'backup');
  const options = { listen: { host: '127.0.0.1', port: 0 }, crypto: defaultProvider() };
  const random = (length: number) => new Uint8Array(randomBytes(length));
  const original = await startController({ ...options, state: openState(state), random });
  const running = await meshnet('controller', 'restored', '--state', state);
  expect(running).toMatchObject({ code: 1 });
  await original.close();
  const once = await meshnet('controller', 'restored', '--state', state, '--json');
  expect(json(once.out)).toEqual({ epoch: 1_000_001, version: 1_000_001 });
  const again = await meshnet('controller', 'restored', '--state', state, '--json');
  expect(again.out).toBe(once.out);
  const nowhere = await meshnet('controller', 'restored', '--state', join(directory, 'nothing'));
  expect(nowhere.err).toContain('there is no such database');
});
