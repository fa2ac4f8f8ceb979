import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { toBase64 } from '../../src/contract/encoding.ts';
import type { ProofDocument } from '../../src/contract/record/proof.ts';
import { meshnet } from '../cli/support/run-meshnet.ts';
import { NodeRig } from './node-rig.ts';

const soon = { timeout: 15_000, interval: 20 };
let rig: NodeRig;
afterEach(() => rig.close());

test('a member reads the record over the network as its node; nobody else may', async () => {
  rig = await NodeRig.open({ epochS: 3, epochOnLoopback: false });
  const a = await rig.node('a', () => 0.9);
  const b = await rig.node('b', () => 0.2);
  await expect.poll(() => a.node.status().state, soon).toBe('member');
  await expect.poll(() => b.node.status().reason, soon).toBe('score_below_threshold');
  const state = (id: string) => ['--state', join(rig.directory.path, id)];
  const noSocket = ['--socket', join(rig.directory.path, 'none.sock')];
  const asMember = (...command: string[]) => meshnet(...command, ...state('a'), ...noSocket);

  const verified = await asMember('log', 'verify', '--json');
  expect([verified.err, verified.code]).toEqual(['', 0]);
  expect(JSON.parse(verified.out)).toMatchObject({ findings: [], withoutRows: 0 });
  const epoch = String(b.node.status().epoch); // b may have come after that of which a knows
  const why = await asMember('why', 'b', '--epoch', epoch);
  expect(why.out).toContain(`b was denied in epoch ${epoch}`);
  const { url } = rig.controller;
  const file = join(rig.directory.path, 'proof.json');
  expect((await asMember('log', 'prove', 'b', epoch, `${url}/log/`, '--out', file)).code).toBe(0);
  const mesh = ['--mesh', toBase64(rig.controller.meshId)];
  expect((await meshnet('log', 'check', file, ...mesh)).code).toBe(0);

  const denied = await meshnet('log', 'verify', ...state('b'), ...noSocket);
  expect([denied.code, denied.err]).toEqual([4, expect.stringContaining('only members')]);
  const own = join(rig.directory.path, 'own.json');
  const proves = (node: string, ...more: string[]) =>
    meshnet('log', 'prove', node, epoch, ...more, ...state('b'), ...noSocket);
  expect(await proves('b', '--out', own)).toMatchObject({ code: 0, err: '' });
  const checked = await meshnet('log', 'check', own, ...mesh);
  expect([checked.code, checked.out]).toEqual([0, expect.stringContaining('b')]);
  const { row, enrolment } = JSON.parse(readFileSync(own, 'utf8')) as ProofDocument;
  for (const { content } of [row, enrolment]) {
    expect(Buffer.from(content, 'base64').toString()).toContain('"node":"b"');
  }
  const another = await proves('a');
  expect([another.code, another.err]).toEqual([4, expect.stringContaining('only members')]);
  expect((await fetch(`${url}/log/proof/${epoch}`)).status).toBe(401);
  mkdirSync(join(rig.directory.path, 'nobody'));
  const outsider = await meshnet('log', 'verify', url, ...mesh, ...state('nobody'));
  expect([outsider.code, outsider.err]).toEqual([4, expect.stringContaining('only members')]);
});

test('where each sees its own verdict alone, it can still prove that one, and the tree is verified', async () => {
  const recordReaders = { log: 'everybody', verdicts: 'own' } as const;
  rig = await NodeRig.open({ epochS: 3, epochOnLoopback: false, recordReaders });
  const a = await rig.node('a', () => 0.9);
  const b = await rig.node('b', () => 0.8);
  await expect
    .poll(() => [a, b].map(({ node }) => node.status().state), soon)
    .toEqual(['member', 'member']);
  const own = ['--state', join(rig.directory.path, 'a'), '--socket', join(rig.directory.path, 'x')];
  const mesh = ['--mesh', toBase64(rig.controller.meshId)];
  const epoch = String(b.node.status().epoch); // in which there is a verdict of each

  const verified = await meshnet('log', 'verify', '--json', ...own);
  expect(JSON.parse(verified.out)).toMatchObject({ findings: [], withoutRows: 0 });
  expect((JSON.parse(verified.out) as { withheld: number }).withheld).toBeGreaterThan(0);
  const file = join(rig.directory.path, 'proof.json');
  expect((await meshnet('log', 'prove', 'a', epoch, '--out', file, ...own)).code).toBe(0);
  expect((await meshnet('log', 'check', file, ...mesh)).code).toBe(0);
  const other = await meshnet('why', 'b', '--epoch', epoch, ...own);
  expect([other.code, other.err]).toEqual([4, expect.stringContaining('says nothing about b')]);
  const { url } = rig.controller;
  expect((await fetch(`${url}/log/checkpoint`)).status).toBe(200);
  expect((await fetch(`${url}/log/verdicts/${epoch}`)).status).toBe(401);
});
