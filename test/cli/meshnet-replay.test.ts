import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { main } from '../../src/cli/meshnet.ts';

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

test("recorded scores of a controller's state, while it is stopped", async () => {
  const { TestMesh } = await import('../controller/support/test-mesh.ts');
  const mesh = await TestMesh.start();
  try {
    const node = await mesh.enrol('a', 1);
    for (const score of [0.9, 0.6, 0.9]) {
      await mesh.report(score, node);
      await mesh.clock.advance(60_000);
    }
    expect(await replay('--state', mesh.state)).toMatchObject({ code: 1 });
    await mesh.controller.close();
    const { out } = await replay('--state', mesh.state, '--policy', 'plain', '--json');
    expect(JSON.parse(out)).toMatchObject({ trials: [{ measured: { cuts: 1 } }, {}] });
    expect(await replay('--state', join(directory, 'none'))).toMatchObject({ code: 2 });
    await mesh.open();
  } finally {
    await mesh.stop();
  }
});
