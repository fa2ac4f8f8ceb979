import {
  chmodSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { writeKeyFile } from '../../src/contract/key-file.ts';
import { ControllerStartError, openState } from '../../src/controller/controller.ts';
import { readPolicyFile } from '../../src/controller/policy-file.ts';
import {
  completeSettings,
  type GivenSettings,
  hostAddresses,
  reservationMs,
} from '../../src/controller/settings.ts';
import { SettingsError } from '../../src/controller/settings-error.ts';
import { defaultProvider } from '../../src/crypto/select.ts';
import { TestMesh } from './support/test-mesh.ts';

let mesh: TestMesh;
beforeEach(async () => {
  mesh = await TestMesh.start();
});
afterEach(async () => {
  await mesh.controller.close().catch(() => {});
  rmSync(mesh.state, { recursive: true, force: true });
});
async function committedEpoch() {
  const state = openState(mesh.state);
  try {
    const { epoch, version } = (await state.store.currentEpoch())!;
    return { epoch, version };
  } finally {
    await state.close();
  }
}
const inState = (name: string) => join(mesh.state, name);
const refusal = (text: string) =>
  expect.objectContaining({ message: expect.stringContaining(text) });

test('nobody else may read key and database, or speak to the socket', () => {
  for (const name of ['controller.key', 'mesh.db', 'admin.sock']) {
    expect(statSync(inState(name)).mode & 0o777).toBe(0o600);
  }
});

test('a second controller on the same state is refused and harms nothing', async () => {
  const first = mesh.controller;
  await expect(mesh.open()).rejects.toThrow(ControllerStartError);
  await expect(mesh.open()).rejects.toThrow(
    new RegExp(`is in use by meshnet controller, process ${process.pid}`),
  );
  mesh.controller = first;
  expect((await mesh.admin('GET', '/healthz')).status).toBe(200);
});

test('a lost key does not quietly become another mesh', async () => {
  await mesh.controller.close();
  const key = readFileSync(inState('controller.key'));
  unlinkSync(inState('controller.key'));
  await expect(mesh.open()).rejects.toThrow(refusal('the key is gone'));
  writeKeyFile(inState('controller.key'), new Uint8Array(32).fill(5));
  await expect(mesh.open()).rejects.toThrow(refusal('another key'));
  unlinkSync(inState('controller.key'));
  writeFileSync(inState('controller.key'), key, { mode: 0o600 });
  await mesh.open();
});

test('a key that others may read, or a directory that others may write, is refused', async () => {
  await mesh.controller.close();
  chmodSync(inState('controller.key'), 0o640);
  await expect(mesh.open()).rejects.toThrow(/chmod 600/);
  chmodSync(inState('controller.key'), 0o600);
  chmodSync(mesh.state, 0o770);
  await expect(mesh.open()).rejects.toThrow(/chmod 700/);
  chmodSync(mesh.state, 0o700);
  await mesh.open();
});

test('a port that is taken leaves nothing running and commits no epoch', async () => {
  const other = await TestMesh.start();
  const listen = { host: '127.0.0.1', port: other.controller.port };
  await mesh.controller.close();
  const before = await committedEpoch();
  await expect(mesh.open({ listen })).rejects.toThrow(/EADDRINUSE/);
  expect(await committedEpoch()).toEqual(before);
  await mesh.open();
  await other.stop();
});

test.each<[string, GivenSettings]>([
  ['epoch', { epochS: 0.1 }],
  ['epoch', { epochS: Number.NaN }],
  ['threshold', { threshold: 1.01 }],
  ['threshold', { threshold: -0.1 }],
  ['freshness', { freshnessS: 0 }],
  ['lifetime', { lifetimeS: 59 }],
  ['grace', { graceS: 61 }],
  ['report interval', { reportIntervalS: 121 }],
  ['suites', { suites: [] }],
  ['suites[1].suite', { suites: [rule('x'), rule('x')] }],
  ['suites[0].min_samples', { suites: [{ ...rule('x'), minSamples: 0 }] }],
  ['evaluators', { suites: [{ ...rule('x'), signers: 'evaluators' }] }],
  ['evaluators', { evaluators: [key(1), key(1)] }],
  ['evaluators', { evaluators: [new Uint8Array(31)] }],
  ['evaluators', { evaluators: [new Uint8Array(32)] }],
  ['tunnel prefix', { tunnelPrefix: '10.10.0.1/24' }],
  ['tunnel prefix', { tunnelPrefix: '10.10.0.0/30' }],
  ['tunnel prefix', { tunnelPrefix: '10.10.0.256/24' }],
  ['tunnel prefix', { tunnelPrefix: 'fd00::/64' }],
])('a wrong %s is named: %j', (field, given) => {
  expect(() => completeSettings(given)).toThrow(SettingsError);
  expect(() => completeSettings(given)).toThrow(expect.objectContaining({ field }));
});

function rule(suite: string) {
  return { suite, minSamples: 1, signers: 'node' as const };
}

function key(seed: number): Uint8Array {
  return defaultProvider().ed25519Public(new Uint8Array(32).fill(seed));
}

test('the defaults are those of the documentation, and scale with the epoch', () => {
  expect(completeSettings()).toMatchObject({
    epochS: 60,
    lifetimeS: 180,
    graceS: 20,
    pairwiseUpTo: 256,
    reportIntervalS: 10,
    policy: { suites: [{ threshold: 0.7, maxAgeS: 120 }] },
  });
  expect(completeSettings({ epochS: 6 })).toMatchObject({
    lifetimeS: 18,
    graceS: 2,
    reportIntervalS: 1,
    policy: { suites: [{ maxAgeS: 12 }] },
  });
  // Longer than a lifetime and an epoch: by then every peer has let go of its pin.
  expect(reservationMs(completeSettings())).toBe(300_000);
});

test('addresses are the hosts of the prefix from the second on', () => {
  const all = hostAddresses('10.10.0.0/24');
  expect([all.at(0), all.at(all.length - 1), all.length]).toEqual([
    '10.10.0.2',
    '10.10.0.254',
    253,
  ]);
  const large = hostAddresses('10.0.0.0/8');
  expect([large.at(large.length - 1), large.length]).toEqual(['10.0.39.17', 10_000]);
});

test('a policy file sets what it names, and is refused for what it does not know', () => {
  const directory = mkdtempSync(join(tmpdir(), 'meshnet-policy-'));
  const path = join(directory, 'policy.json');
  const read = (value: unknown) => {
    writeFileSync(path, typeof value === 'string' ? value : JSON.stringify(value));
    return readPolicyFile(path);
  };
  try {
    const evaluator = Buffer.from(key(3)).toString('base64');
    const given = read({
      threshold: 0.8,
      suites: [{ suite: 'health', min_samples: 20, signers: 'evaluators' }],
      evaluators: [evaluator],
    });
    expect(completeSettings(given)).toMatchObject({
      policy: {
        suites: [{ suite: 'health', threshold: 0.8, minSamples: 20, signers: 'evaluators' }],
      },
      evaluators: [key(3)],
    });
    expect(() => read({ treshold: 0.8 })).toThrow(/treshold.*no such field/);
    expect(() => read({ threshold: '0.8' })).toThrow(/threshold/);
    expect(() => read({ suites: [{ suite: 'x', signers: 'all' }] })).toThrow(/signers/);
    expect(() => read('{')).toThrow(SettingsError);
    expect(() => readPolicyFile(join(directory, 'none'))).toThrow(SettingsError);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
