import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../src/agent/clock.ts';
import { ControllerClient } from '../../src/agent/controller-client.ts';
import { enrol } from '../../src/agent/enrol.ts';
import { ensureNodeKeys } from '../../src/agent/node-keys.ts';
import { toBase64 } from '../../src/contract/encoding.ts';
import { readKeyFile, writeKeyFile } from '../../src/contract/key-file.ts';
import { type Controller, startController } from '../../src/controller/controller.ts';
import { defaultProvider } from '../../src/crypto/select.ts';
import { lockFile } from '../../src/ground/lock.ts';

const crypto = defaultProvider();
const random = (length: number) => new Uint8Array(randomBytes(length));
const program = join(import.meta.dirname, '../../bin/meshnet');

let directory: string;
let key: string;
let controller: Controller;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'meshnet-score-'));
  key = join(directory, 'evaluator.key');
  writeKeyFile(key, random(32));
  controller = await startController({
    state: join(directory, 'controller'),
    listen: { host: '127.0.0.1', port: 0 },
    settings: {
      suites: [{ suite: 'red-team', minSamples: 1, signers: 'evaluators' }],
      evaluators: [crypto.ed25519Public(readKeyFile(key))],
    },
    crypto,
    random,
  });
  for (const name of ['node-a', 'node-b']) await enrolled(name);
});
afterEach(async () => {
  await controller.close();
  rmSync(directory, { recursive: true });
});

async function enrolled(nodeId: string): Promise<void> {
  const { token } = await controller.services.enrolments.createToken(nodeId, 3600);
  const client = new ControllerClient({
    fetch,
    clock: systemClock,
    crypto,
    random,
    url: controller.url,
    timeoutMs: 5000,
  });
  const keys = ensureNodeKeys(join(directory, nodeId), random);
  await enrol(
    {
      client,
      crypto,
      clock: systemClock,
      random: Math.random,
      keys,
      nodeId,
      token,
      endpoint: null,
      listenPort: 51_820,
      waiting: () => {},
    },
    new AbortController().signal,
  );
}

/** Runs `meshnet score` in a process of its own. */
function score(parameters: readonly string[], input = '') {
  const all = ['score', '--key', key, '--suite', 'red-team'];
  all.push('--mesh', toBase64(controller.meshId), '--controller', controller.url, ...parameters);
  return new Promise<{ code: number; out: string; err: string }>((resolve) => {
    const child = execFile(program, all, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err });
    });
    child.stdin!.end(input);
  });
}

test('several report at the same time with one key: no score is lost', async () => {
  const values = [0.91, 0.92, 0.93, 0.94, 0.95, 0.96, 0.97, 0.98];
  const runs = values.map((value) => score(['node-a', String(value)]));
  const results = await Promise.all(runs);
  expect(results.map(({ code, err }) => ({ code, err }))).toEqual(
    values.map(() => ({ code: 0, err: '' })),
  );
  const sequences = results.map(({ out }) => Number(/sequence (\d+)/.exec(out)?.[1]));
  expect(sequences.sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
});

test('a key that stays in use is said to be, with the name of who has it', async () => {
  const lock = lockFile(key, { program: 'meshnet score' });
  expect(() => lockFile(key, { program: 'another' })).toThrow(
    `${key}: is in use by meshnet score, process ${process.pid}`,
  );
  lock.release();
});

test('a batch reports many in one process; a bad line is named and costs only itself', async () => {
  const lines = [
    'node-a 0.9',
    '',
    '{"node": "node-b", "score": 0.6999999999999998, "samples": 40}',
    'node-a 1.5',
    '{"node": "node-b", "score": 0.9, "samples": 0}',
    'node-x 0.9',
    'node-a 0.8 extra',
    'node-a 0.8',
  ];
  const { code, out, err } = await score(['--batch'], `${lines.join('\n')}\n`);
  expect(out.trim().split('\n')).toEqual([
    'node-a: 0.9 (red-team, sequence 1) accepted',
    'node-b: 0.7 (red-team, sequence 1) accepted',
    'node-a: 0.8 (red-team, sequence 2) accepted',
  ]);
  for (const [line, what] of [
    [4, /"score" is not a score/],
    [5, /"samples" is not an integer/],
    [6, /unknown_node/],
    [7, /expected NODE SCORE/],
  ] as const) {
    const said = err.split('\n').find((one) => one.includes(`line ${line}:`));
    expect(said).toMatch(what);
  }
  expect(err).toContain('4 of 8 lines failed');
  expect(code).toBe(4);
});

test('a batch that is faster than the controller takes scores waits for it', async () => {
  const lines = Array.from({ length: 14 }, (_, i) => `node-a 0.8${i}\n`).join('');
  const { code, out } = await score(['--batch'], lines);
  expect(code).toBe(0);
  expect(out.match(/accepted/g)).toHaveLength(14);
});

test('a batch ends where nobody answers, and says from which line on', async () => {
  const away = ['--batch', '--controller', 'http://127.0.0.1:1'];
  const { code, err } = await score(away, 'node-a 0.9\nnode-b 0.9\n');
  expect(code).toBe(3);
  expect(err).toMatch(/line 1: .*; the rest was not sent/);
});

test('a result carries the date that it was measured at, and counts once', async () => {
  const observedAt = Date.now() - 20_000;
  const dated = ['node-a', '0.9', '--observed-at', new Date(observedAt).toISOString()];
  expect((await score(dated)).out).toContain('sequence 1) accepted');
  expect((await score(dated)).out).toContain('is not sent again');
  const known = await controller.services.store.scoresOf('node-a');
  expect(known.map((one) => one.observedAt)).toEqual([observedAt]);
  const { code, err } = await score(['node-a', '0.9', '--observed-at', 'yesterday']);
  expect(code).toBe(2);
  expect(err).toContain('"observed_at" is neither');
});

test('what a harness left is reported as it says itself, once', async () => {
  const result = join(import.meta.dirname, '../agent/harness/files/promptfoo.json');
  const parameters = ['node-a', '--score-from', `promptfoo:${result}`];
  expect((await score(parameters)).out).toContain('sequence 1) accepted');
  expect((await score(parameters)).out).toContain('is not sent again');
  expect(await controller.services.store.scoresOf('node-a')).toMatchObject([
    { samples: 6, observedAt: Date.parse('2026-11-27T14:31:00.044Z') },
  ]);
  const limited = await score([...parameters, '--map', '0..0.5']);
  expect(limited).toMatchObject({ code: 1 });
  expect(limited.err).toContain('not between 0 and 0.5 (--map)');
  for (const [bad, what] of [
    [['--score-from', 'other:x'], 'KIND one of inspect'],
    [['--score-from', `promptfoo:${result}`, '--map', 'a..b'], '--map a..b'],
    [['0.9', '--score-from', `promptfoo:${result}`], 'give a node and its score'],
  ] as const) {
    const { code, err } = await score(['node-a', ...bad]);
    expect(code).toBe(2);
    expect(err).toContain(what);
  }
});
