import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fromBase64 } from '../../src/contract/encoding.ts';
import { ControllerProcess } from '../controller/support/controller-process.ts';
import { call } from '../controller/support/test-mesh.ts';
import type { TestNode } from '../controller/support/test-node.ts';
import { requires } from '../lab/requirements.ts';

const run = promisify(execFile);
const EPOCHS = 1000;
const CRASHES = 10;

requires('go')('a log that a controller wrote through a thousand epochs and crashes', () => {
  let tools: string;
  let directory: string;
  const controller = new ControllerProcess(['--epoch', '60', '--freshness', '3600']);
  let url: string;
  let key: string;
  let early: string;

  beforeAll(async () => {
    tools = execFileSync(join(import.meta.dirname, 'foreign-eyes/build.sh'), {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    }).trim();
    directory = mkdtempSync(join(tmpdir(), 'meshnet-foreign-eyes-'));
    await controller.start();
    url = `${controller.url}/log/`;
    const meshId = fromBase64((await controller.epoch()).mesh_id)!;
    const nodes: TestNode[] = [];
    for (let i = 0; i < 4; i++) nodes.push(await controller.enrol(`node-${i}`, i + 1));
    for (let crash = 0; crash < CRASHES; crash++) {
      for (const node of nodes) {
        const body = node.score(meshId, 0.9 - 0.1 * crash, Date.now());
        const report = `${controller.url}/v1/benchmarks/${node.nodeId}`;
        expect((await call(report, { method: 'POST', body })).status).toBe(202);
      }
      for (let i = 0; i < EPOCHS / CRASHES; i++) await controller.admin('POST', '/v1/rotate');
      if (crash === 3) early = await text('checkpoint');
      await controller.kill();
      await controller.start();
    }
    key = (await text('key')).trim();
  }, 600_000);
  afterAll(async () => {
    await controller.remove();
    rmSync(directory, { recursive: true });
  });

  const text = async (path: string): Promise<string> => (await fetch(`${url}${path}`)).text();

  test('is a log to golang.org/x/mod and torchwood, which extends what was seen before', async () => {
    const seen = join(directory, 'early');
    writeFileSync(seen, early);
    const { stdout } = await run(join(tools, 'foreign-eyes'), [url, key, seen]);
    const found = JSON.parse(stdout) as Record<string, number>;
    expect(found.size).toBeGreaterThan(EPOCHS);
    expect(found.extends).toBeGreaterThan(300);
    expect(found.whole).toBe(Math.floor(found.size! / 256) * 256);
    expect(found.included).toBeGreaterThan(30);
  });

  test('has no fault that fsck of tessera finds', async () => {
    const file = join(directory, 'key');
    writeFileSync(file, key);
    const where = ['--storage_url', url, '--public_key', file];
    const { stderr } = await run(join(tools, 'fsck'), [...where, '--ui=false', '--logtostderr']);
    expect(stderr).toMatch(/successful/i);
  });
});
