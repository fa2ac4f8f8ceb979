import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { toBase64 } from '../../src/contract/encoding.ts';
import { TestMesh } from '../controller/support/test-mesh.ts';
import { meshnet } from './support/run-meshnet.ts';

const MINUTE = 60_000;
/** Rows of epochs that cut nobody, and scores, are kept for so long. */
const KEPT = { maxAgeMs: 5 * MINUTE, minAgeMs: 5 * MINUTE, maxBytes: Number.MAX_SAFE_INTEGER };
let mesh: TestMesh;
let directory: string;
/** Epochs: in which nobody was cut, and in which b was. */
let quiet: number;
let cut: number;

const log = (command: string, ...parameters: string[]) =>
  meshnet('log', command, '--socket', mesh.controller.adminSocket, ...parameters);
const check = (...files: string[]) =>
  meshnet('log', 'check', ...files, '--mesh', toBase64(mesh.meshId));
const file = (name: string) => join(directory, name);

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'meshnet-pruned-'));
  mesh = await TestMesh.start({}, undefined, KEPT);
  const [a, b] = [await mesh.enrol('a', 1), await mesh.enrol('b', 2)];
  const epoch = async (score: number) => {
    await mesh.report(0.9, a);
    await mesh.report(score, b);
    await mesh.clock.advance(MINUTE);
    return (await mesh.epoch()).epoch;
  };
  await epoch(0.9);
  quiet = await epoch(0.8);
  cut = await epoch(0.3);
  for (const [name, node, which] of [
    ['quiet', 'a', quiet],
    ['cut', 'b', cut],
  ] as const) {
    const { code } = await log('prove', node, String(which), '--out', file(`${name}-before`));
    expect(code).toBe(0);
  }
  for (let i = 0; i < 15; i++) await epoch(0.9);
});
afterAll(async () => {
  await mesh.stop();
  rmSync(directory, { recursive: true });
});

test('a log of which rows are pruned verifies, and says of how many epochs they are gone', async () => {
  const { code, out } = await log('verify', '--json');
  const { findings, epochs, withoutRows, confirmed } = JSON.parse(out) as Record<string, number>;
  expect([code, findings]).toEqual([0, []]);
  expect(withoutRows).toBeGreaterThan(5);
  expect(withoutRows).toBeLessThan(epochs! - 5); // the young ones, and the one that cut
  expect(confirmed).toBeGreaterThan(0);
});

test('proofs that were made before are as good as ever', async () => {
  expect(await check(file('quiet-before'), file('cut-before'))).toMatchObject({ code: 0, err: '' });
});

test('who was cut is proven for ever; of a row that is pruned it is said', async () => {
  expect((await log('prove', 'b', String(cut), '--out', file('cut-after'))).code).toBe(0);
  const { code, out } = await check(file('cut-after'), file('cut-before'));
  expect([code, out]).toEqual([0, expect.stringContaining(`b was denied in epoch ${cut}`)]);
  const gone = await log('prove', 'a', String(quiet));
  expect([gone.code, gone.err]).toEqual([
    4,
    expect.stringContaining(`the rows of epoch ${quiet} are not kept any more`),
  ]);
});
