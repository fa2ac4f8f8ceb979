import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { Lab, until } from '../lab/netns.ts';
import { type PreviousVersion, previousVersion } from '../lab/previous-version.ts';
import { requires } from '../lab/requirements.ts';
import { Machines } from './machines.ts';
import { archiveOf, countOf, newcomerPlan, section } from './newcomer.ts';
import { type Block, blocksOf, ROOT } from './pages.ts';

const [INSTALL, FIRST] = ['docs/INSTALL.md', 'docs/FIRST-MESH.md'] as const;

requires(
  'linux',
  'root',
  'tun',
  'netns',
  'git',
  'tar',
  'nginx',
  'openssl',
  'ping',
)('somebody new, who only copies commands from the pages,', () => {
  const releases = mkdtempSync(join(tmpdir(), 'docs-releases-'));
  const [current, before] = ['current', 'previous'].map((name) =>
    join(releases, `${name}.tgz`),
  ) as [string, string];
  let previous: PreviousVersion;
  let machines: Machines;
  let typed: number;
  let said: string[];

  let lab: Lab;
  beforeAll(() => {
    previous = previousVersion();
    archiveOf(ROOT, current);
    archiveOf(previous.root, before);
  });
  afterAll(() => {
    previous?.remove();
    rmSync(releases, { recursive: true });
  });
  beforeEach(() => {
    lab = new Lab();
    typed = 0;
    said = [];
  });
  afterEach(async () => {
    await machines?.close();
    expect(await lab.close()).toEqual([]);
  });

  async function type(block: Block): Promise<string> {
    typed += countOf(block) * machines.machinesOf(block).length;
    try {
      const printed = await machines.run(block);
      said.push(printed);
      return printed;
    } catch (error) {
      throw new Error(
        `${block.place}: ${(error as Error).message}\nbefore:\n${said.slice(-3).join('')}`,
      );
    }
  }

  async function typeAll(blocks: readonly Block[]): Promise<string> {
    let printed = '';
    for (const block of blocks) printed += await type(block);
    return printed;
  }

  const figures = (what: string) =>
    console.log(`${what}; load ${loadavg()[0]!.toFixed(1)} on this machine`);

  /** Paths of the machine's own that are named after the mesh. */
  const traces = (machine: string) =>
    readdirSync(machines.folderOf(machine), { recursive: true, encoding: 'utf8' }).filter(
      (path) => /mesh/.test(path) && !path.startsWith('work/') && !path.startsWith('config/'),
    );

  test('has a mesh, a bad node that is cut, a restart and a backup that was restored', async () => {
    machines = new Machines(lab, newcomerPlan(current));
    machines.furnish();
    // What the page calls a node that does not reach the controller.
    machines.namespaceOf('node-d').run(['ip', 'route', 'add', 'prohibit', '192.0.2.1']);
    const begun = performance.now();

    await typeAll(section(INSTALL, 'Install'));
    await typeAll(section(FIRST, 'The controller'));
    const nodes = section(FIRST, 'The nodes');
    const reached = nodes.findIndex(({ text }) => text.includes('ping'));
    await typeAll(nodes.slice(0, reached + 1));
    const [seconds, commands] = [(performance.now() - begun) / 1000, typed];
    const status = await typeAll(nodes.slice(reached + 1));
    for (const node of ['node-a', 'node-b', 'node-c']) {
      expect(status).toMatch(new RegExp(`${node} .* member `));
    }

    const cut = await typeAll(section(FIRST, 'One behaves badly'));
    expect(cut).toContain('node-c is denied');
    expect(cut).toContain('100% packet loss');

    const [proxy, ...behind] = section(FIRST, 'A node that does not reach the controller');
    await type(proxy!);
    const certificate = join(machines.folderOf('proxy'), 'etc/ssl/certs/mesh.pem');
    cpSync(certificate, join(machines.folderOf('node-d'), 'work/mesh.pem')); // "copied there"
    expect(await typeAll(behind)).toContain('node-a');

    await typeAll(section(FIRST, 'A restart'));
    await typeAll(section(FIRST, 'A backup'));

    const made = typed;
    await typeAll(section(INSTALL, 'Remove'));
    await machines.stop();
    for (const machine of Object.keys(newcomerPlan('').addresses)) {
      expect(traces(machine), machine).toEqual([]);
      const users = readFileSync(join(machines.folderOf(machine), 'etc/passwd'), 'utf8');
      expect(users).not.toContain('meshnet');
      const left = machines.namespaceOf(machine).interfaces();
      expect(left, machine).toHaveLength(1);
    }
    figures(
      `from nothing to the first packet: ${seconds.toFixed(1)} s, ${commands} commands; ` +
        `cut, proxy, restart and backup: ${made - commands} more; removal: ${typed - made}`,
    );
  });

  test('upgrades a mesh of the last release, to TLS at the end', async () => {
    const { addresses, ...rest } = newcomerPlan(before);
    const { controller, 'node-a': a, 'node-b': b } = addresses;
    machines = new Machines(lab, {
      ...rest,
      addresses: { controller: controller!, 'node-a': a!, 'node-b': b! },
    });
    machines.furnish();
    await typeAll(section(INSTALL, 'Install'));
    for (const node of ['node-a', 'node-b']) {
      const file = join(machines.folderOf(node), 'work/my-benchmark');
      writeFileSync(file, '#!/bin/sh\necho 0.9\n', { mode: 0o755 });
    }

    // The page of that release, which does not say of its commands where they are typed.
    const page = blocksOf('README.md', previous.root).find(
      ({ section }) => section === 'A governed mesh on your machines',
    )!;
    const [start, add, join_, ask] = page.text.replaceAll('\\\n', ' ').split('\n');
    const block = (text: string, on: string, until?: string): Block => ({
      ...page,
      text,
      words: new Map(Object.entries({ on, ...(until && { until }) })),
    });
    await type(block(start!, 'controller', 'admin.sock'));
    for (const node of ['node-a', 'node-b']) {
      await type(block(add!.replaceAll('node-a', node), 'controller'));
      await type(block(join_!.replaceAll('node-a', node), node, 'up:'));
    }
    await until(
      async () => {
        await type(block('meshnet rotate', 'controller')); // of its docs/DEMO.md
        const status = await type(block(ask!, 'controller'));
        return ['node-a', 'node-b'].every((node) => new RegExp(`${node} .* member `).test(status));
      },
      'members',
      60_000,
    );

    for (const machine of ['controller', 'node-a', 'node-b']) {
      cpSync(current, join(machines.folderOf(machine), 'work/aligned-meshnet.tar.gz'));
    }
    const installed = typed;
    await typeAll(section(INSTALL, 'Upgrade'));
    figures(`upgrade of three machines from the last release: ${typed - installed} commands`);
    await machines.stop();
  });
});
