import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { until } from '../lab/netns.ts';
import { statusIn } from '../lab/node-status.ts';
import { DEPLOY_CHECKERS, requires } from '../lab/requirements.ts';
import { useLab } from '../lab/use-lab.ts';
import { checked } from './checked.ts';
import { Containers, type Service } from './containers.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const NODES = ['node-a', 'node-b', 'node-c'] as const;

requires(
  'linux',
  'root',
  'tun',
  'netns',
  'image',
  'compose-check',
  'setpriv',
  'unshare',
)('the image, started as compose.yaml says', () => {
  const folder = mkdtempSync(join(tmpdir(), 'containers-'));
  let containers: Containers;
  useLab((lab) => {
    const { code, output } = checked([DEPLOY_CHECKERS['compose-check'], 'compose.yaml'], {
      cwd: ROOT,
    });
    expect(code, output).toBe(0);
    const { prometheus: _, ...services } = (
      JSON.parse(output) as { services: Record<string, Service> }
    ).services;
    containers = new Containers(lab, folder, services);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const status = (node: string) => statusIn(join(containers.volume(node), 'status.json'));
  const reaches = (from: string, to: string) =>
    status(from)?.probes.find(({ node_id }) => node_id === to)?.ok;

  test('holds no shell, and its list of packages names what it runs', () => {
    const inImage = (path: string) => join(DEPLOY_CHECKERS.image, path);
    expect(
      checked(['find', DEPLOY_CHECKERS.image, '-name', 'sh', '-o', '-name', 'bash']).output,
    ).toBe('');
    const sbom = JSON.parse(
      readFileSync(inImage('/usr/share/doc/aligned-meshnet/sbom.spdx.json'), 'utf8'),
    ) as { packages: { name: string }[] };
    const names = sbom.packages.map(({ name }) => name);
    const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    expect(names).toEqual(expect.arrayContaining(Object.keys(dependencies)));
    expect(names).not.toContain('vitest');
  });

  test('is a mesh in which two nodes talk, and nobody with the third', async () => {
    const controller = containers.start('controller');
    await until(
      async () => (await containers.run('controller', ['health'])).code === 0,
      'a healthy controller',
    );
    const tokens = await containers.run('tokens');
    expect(tokens).toEqual({ code: 0, output: 'tokens for node-a, node-b, node-c\n' });
    const nodes = NODES.map((name) => containers.start(name));
    const [a, b, c] = NODES;
    await until(
      () => reaches(a, b) === true && reaches(b, a) === true,
      'echoes between members',
      60_000,
    );
    await until(() => status(c)?.state === 'denied', 'the third to be told');
    expect(status(a)?.backend).toBe('linux');
    for (const [from, to] of [
      [a, c],
      [b, c],
      [c, a],
      [c, b],
    ] as const) {
      await until(() => reaches(from, to) === false, `no answer from ${from} to ${to}`);
    }
    for (const name of ['controller', ...NODES]) {
      expect(await containers.run(name, ['health']), name).toMatchObject({ code: 0 });
    }
    const again = await containers.run('tokens');
    expect(again).toEqual({ code: 0, output: 'no token was needed\n' });

    // The profile `bridge`: no device, no capability.
    const bridged = await containers.run('tokens-bridge');
    expect(bridged).toEqual({ code: 0, output: 'tokens for node-d\n' });
    const d = 'node-d';
    nodes.push(containers.start(d));
    for (const other of [a, b]) {
      await until(
        () => reaches(d, other) === true && reaches(other, d) === true,
        `echoes between ${other} and a member in userspace`,
        60_000,
      );
    }
    expect(status(d)?.backend).toBe('userspace');
    for (const [from, to] of [
      [c, d],
      [d, c],
    ] as const) {
      await until(() => reaches(from, to) === false, `no answer from ${from} to ${to}`);
    }
    expect(await containers.run(d, ['health'])).toMatchObject({ code: 0 });
    for (const container of [...nodes, controller]) {
      expect(await containers.stop(container)).toBe(0);
    }
  });
});
