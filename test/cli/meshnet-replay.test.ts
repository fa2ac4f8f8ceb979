import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { main } from '../../src/cli/meshnet.ts';
import { toBase64 } from '../../src/contract/encoding.ts';
import type { Expected } from '../../src/replay/expected.ts';
import type { MeshFigures } from '../../src/replay/figures.ts';

const directory = mkdtempSync(join(tmpdir(), 'meshnet-replay-'));
afterAll(() => rmSync(directory, { recursive: true }));

/** Runs `meshnet replay`; what it printed, and how it ended. */
async function replay(...parameters: string[]) {
  let [out, err] = ['', ''];
  const take = (add: (text: string) => void) => (text: unknown) => {
    add(String(text));
    return true;
  };
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation(take((text) => (out += text))),
    vi.spyOn(process.stderr, 'write').mockImplementation(take((text) => (err += text))),
  ];
  try {
    return { code: await main(['replay', ...parameters]), out, err };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

const SHORT = [
  '--days',
  '0.1',
  '--nodes',
  '10',
  '--bad',
  '1',
  '--bad-every',
  '20',
  '--bad-epochs',
  '10',
];

test('a simulation is told as a table, as JSON and as pictures', async () => {
  const [plot, curve] = ['raster.svg', 'curve.svg'].map((name) => join(directory, name));
  const text = await replay(...SHORT, '--plot', plot!, '--curve', curve!);
  expect(text).toMatchObject({ code: 0, err: '' });
  expect(text.out).toContain('10 nodes, 144 epochs');
  expect(text.out).toMatch(/false cuts a day +\S+/);
  for (const file of [plot!, curve!]) expect(readFileSync(file, 'utf8')).toContain('</svg>');
  const { out } = await replay(...SHORT, '--json');
  const { trials } = JSON.parse(out) as { trials: { policy: string; measured: object }[] };
  expect(trials.map((one) => one.policy)).toEqual(['default', 'plain']);
  expect(trials[0]!.measured).toMatchObject({ epochs: 144, missed: 0 });
});

test('a spec names populations, each with its own quality; formulas stand beside what was measured', async () => {
  const spec = join(directory, 'spec.json');
  const write = (populations: object[], more = {}) =>
    writeFileSync(spec, JSON.stringify({ populations, ...more }));
  const quiet = ['--simulate', '--days', '0.1', '--spec', spec, '--json'];
  write([
    { nodes: 3, mean: 0.76, deviation: 0.05 },
    { nodes: 2, mean: 0.9, deviation: 0.01, bad_mean: 0.3, bad_every: 20, gaming: 'boundary' },
  ]);
  const { out } = await replay(...quiet, '--policy', 'plain');
  const [plain] = (JSON.parse(out) as { trials: { measured: MeshFigures; expected: Expected }[] })
    .trials;
  const { nodes } = plain!.measured;
  expect(nodes).toHaveLength(5);
  expect(nodes.slice(0, 3).every((one) => one.false_cuts! > 0)).toBe(true);
  expect(nodes.slice(3).every((one) => one.false_cuts === 0 && one.missed! > 0)).toBe(true);
  expect(plain!.expected.good_run).toBeNull(); // nobody has a formula for gaming
  write([
    { nodes: 3, mean: 0.76 },
    { nodes: 2, mean: 0.9, bad_mean: 0.3 },
  ]);
  const { expected } = JSON.parse((await replay(...quiet, '--policy', 'plain')).out).trials[0];
  expect(expected.good_run).toBeCloseTo(8.7, 1);
  expect(expected.false_cuts_a_day).toBeGreaterThan(400);
  write([{ nodes: 3, quality: 0.9 }]);
  const unknown = await replay(...quiet);
  expect(unknown).toMatchObject({ code: 2 });
  expect(unknown.err).toContain(`${spec}: populations[0].\\"quality`);
  for (const other of [
    ['--from', spec],
    ['--state', spec],
    ['--log', spec],
    ['--bad', '3'],
  ]) {
    expect(await replay(...quiet, ...other), other[0]).toMatchObject({ code: 2 });
  }
});

test('too many false cuts end it with an error, for CI', async () => {
  const noisy = [...SHORT, '--mean', '0.75', '--policy', 'plain'];
  expect(await replay(...noisy, '--fail-above', '1')).toMatchObject({ code: 1 });
  expect(await replay(...noisy, '--fail-above', '100000')).toMatchObject({ code: 0 });
});

test('the table of run lengths comes from the formulas', async () => {
  const { out } = await replay('--table');
  expect(out).toMatch(/the last score +741 +44 +15 +1\.02/);
  expect(out).toMatch(/2 of 3 +275000 +1020 +131/);
});

test('where nobody knows which cuts are false there is no operating curve', async () => {
  const file = join(directory, 'one.jsonl');
  writeFileSync(file, '{"node_id":"a","score":0.9,"received_at":1700000000000}');
  const { code, err } = await replay('--from', file, '--curve', join(directory, 'none.svg'));
  expect(code).toBe(2);
  expect(err).toContain('--curve');
});

test('recorded scores; a line that cannot be is named, with its field', async () => {
  const file = join(directory, 'scores.jsonl');
  const line = (minute: number, score: unknown) =>
    JSON.stringify({ node_id: 'a', score, received_at: 1_700_000_000_000 + minute * 60_000 });
  writeFileSync(file, [0.9, 0.6, 0.9].map((score, i) => line(i, score)).join('\n'));
  const { out } = await replay('--from', file, '--policy', 'plain', '--json');
  expect(JSON.parse(out)).toMatchObject({ epochs: 3, trials: [{ measured: { cuts: 1 } }, {}] });
  writeFileSync(file, `${line(0, 0.9)}\n${line(1, 1.2)}\n`);
  const { code, err } = await replay('--from', file);
  expect(code).toBe(2);
  expect(err).toContain(`${file}:2: score: expected a number from 0 to 1`);
});

test('a policy that cannot be is refused with the field named', async () => {
  const file = join(directory, 'policy.json');
  writeFileSync(
    file,
    JSON.stringify({ version: 2, suites: [{ suite: 'a', cut: { of: 2, failed: 3 } }] }),
  );
  const { code, err } = await replay('--policy', file);
  expect(code).toBe(2);
  expect(err).toContain('suites[0].cut.failed');
});

test("recorded scores of a controller's state, while it is stopped, and of its log", async () => {
  const { TestMesh } = await import('../controller/support/test-mesh.ts');
  const mesh = await TestMesh.start();
  try {
    const node = await mesh.enrol('a', 1);
    for (const score of [0.9, 0.6, 0.9]) {
      await mesh.report(score, node);
      await mesh.clock.advance(60_000);
    }
    expect(await replay('--state', mesh.state)).toMatchObject({ code: 1 });
    const ofLog = ['--log', mesh.url, '--mesh', toBase64(mesh.controller.meshId)];
    const byLog = await replay(...ofLog, '--policy', 'plain', '--json');
    await mesh.controller.close();
    const byState = await replay('--state', mesh.state, '--policy', 'plain', '--json');
    expect(JSON.parse(byState.out)).toMatchObject({ trials: [{ measured: { cuts: 1 } }, {}] });
    expect(byLog.out).toEqual(byState.out);
    expect(await replay('--state', join(directory, 'none'))).toMatchObject({ code: 2 });
    expect(await replay('--log', join(directory, 'none'), '--mesh', ofLog[3]!)).toMatchObject({
      code: 3,
    });
    await mesh.open();
  } finally {
    await mesh.stop();
  }
});
