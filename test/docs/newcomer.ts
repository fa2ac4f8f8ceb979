import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Plan } from './machines.ts';
import { type Block, blocksOf, commandsOf, isCommand, ROOT } from './pages.ts';

/** What somebody reads who has nothing yet. Other than most pages, they begin with bare machines. */
export const NEWCOMER_PAGES = ['docs/INSTALL.md', 'docs/FIRST-MESH.md'];

/** Where npm keeps packages for the whole machine: here, those of this checkout. */
const PACKAGES = '/usr/local/lib/node_modules';

/** In place of npm, whose registry cannot be reached from these machines. `npm ci --prefix FOLDER`. */
const NPM = `#!/bin/sh\nexec ln -s ${PACKAGES} "$3/node_modules"\n`;

/** Bare machines, and a user ann. `archive`: the release that is there at first. */
export const newcomerPlan = (archive: string): Plan => ({
  addresses: {
    controller: '192.0.2.1/24',
    'node-a': '192.0.2.11/24',
    'node-b': '192.0.2.12/24',
    'node-c': '192.0.2.13/24',
    'node-d': '192.0.2.14/24',
    proxy: '192.0.2.2/24',
  },
  own: ['/etc', '/home', '/opt', '/root', '/run', '/usr/local', '/var'],
  mounts: [[join(ROOT, 'node_modules'), PACKAGES]],
  path: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  furnish(folder) {
    cpSync('/etc', join(folder, 'etc'), { recursive: true, verbatimSymlinks: true });
    for (const own of [
      PACKAGES,
      '/var/lib/nginx',
      '/var/log/nginx',
      '/var/backups',
      '/var/cache',
      '/work',
    ]) {
      mkdirSync(join(folder, own), { recursive: true });
    }
    const npm = join(folder, 'usr/local/bin/npm');
    mkdirSync(dirname(npm));
    writeFileSync(npm, NPM, { mode: 0o755 });
    cpSync(archive, join(folder, 'work/aligned-meshnet.tar.gz'));
    execFileSync('useradd', ['--prefix', folder, '--create-home', 'ann']);
    chmodSync(join(folder, 'work'), 0o777);
  },
});

/** An archive of what belongs to this checkout; or of all in another one but its packages. */
export function archiveOf(root: string, file: string): void {
  const known =
    root === ROOT
      ? execFileSync('git', ['ls-files', '-cz', '-o', '--exclude-standard'], { cwd: root })
      : undefined;
  const which = known ? ['--null', '-T', '-'] : ['--exclude=./node_modules', '.'];
  execFileSync('tar', ['-czf', file, ...which], { cwd: root, input: known });
}

/** The commands under a heading of a page, in order. */
export function section(page: string, heading?: string): Block[] {
  return blocksOf(page)
    .filter(isCommand)
    .filter((block) => heading === undefined || block.section === heading);
}

/** How many commands somebody types for a block on one machine. */
export function countOf(block: Block): number {
  const whole = commandsOf(block).replaceAll('\\\n', ' ').split('\n');
  return whole.filter((line) => line.trim() !== '' && !line.startsWith('#')).length;
}
