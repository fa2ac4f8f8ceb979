import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DEPLOY_CHECKERS, requires } from '../lab/requirements.ts';
import { checked } from './checked.ts';

const ROOT = resolve(import.meta.dirname, '../..');

requires(
  'linux',
  'root',
  'debian-base',
  'dpkg-deb',
  'npm',
)('the package for Debian, on a machine of its own', () => {
  const folder = mkdtempSync(join(tmpdir(), 'deb-'));
  const machine = join(folder, 'machine');
  const on = (path: string) => join(machine, path);
  const run = (...command: [string, ...string[]]) => checked(['chroot', machine, ...command]);
  const told = () => readFileSync(on('/told'), 'utf8').trim().split('\n');

  beforeAll(() => {
    mkdirSync(machine);
    execFileSync('tar', ['-xf', DEPLOY_CHECKERS['debian-base'], '-C', machine]);
    execFileSync('npm', ['run', '--silent', 'build'], { cwd: ROOT, stdio: 'inherit' });
    for (const version of ['1.0.0', '1.1.0']) {
      execFileSync('sh', ['deploy/deb/build.sh', machine, version], { cwd: ROOT });
    }
    // As where systemd runs; what it is told is written down.
    mkdirSync(on('/run/systemd/system'), { recursive: true });
    writeFileSync(on('/usr/bin/systemctl'), '#!/bin/sh\necho "$@" >>/told\n', { mode: 0o755 });
  }, 300_000);
  afterAll(() => rmSync(folder, { recursive: true }));

  const install = (version: string) => {
    writeFileSync(on('/told'), '');
    const name = readdirSync(machine).find((file) => file.includes(`_${version}_`))!;
    return run('dpkg', '--install', `/${name}`);
  };

  test('puts everything where it belongs, and starts nothing', () => {
    expect(install('1.0.0')).toMatchObject({ code: 0 });
    const version = (
      JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }
    ).version;
    for (const program of ['meshnet', 'meshtun']) {
      expect(run(program, '--version').output, program).toContain(version);
      for (const path of [
        `man/man1/${program}.1.gz`,
        `bash-completion/completions/${program}`,
        `zsh/vendor-completions/_${program}`,
      ]) {
        expect(existsSync(on(`/usr/share/${path}`)), path).toBe(true);
      }
    }
    for (const unit of ['meshnet-controller.service', 'meshnet-node.service']) {
      const ours = readFileSync(join(ROOT, 'deploy/systemd', unit), 'utf8');
      expect(readFileSync(on(`/usr/lib/systemd/system/${unit}`), 'utf8')).toBe(ours);
    }
    for (const user of ['meshnet', 'meshnet-score'])
      expect(run('id', user), user).toMatchObject({ code: 0 });
    expect(statSync(on('/etc/meshnet')).mode & 0o777).toBe(0o700);
    expect(told()).toEqual(['daemon-reload']);
    expect(run('dpkg', '--verify', 'aligned-meshnet')).toEqual({ code: 0, output: '' });
  });

  test('is upgraded with options and state kept, and running services as the new version', () => {
    appendFileSync(on('/etc/default/meshnet-node'), 'MESHNET_NODE_OPTIONS=--no-push\n');
    mkdirSync(on('/var/lib/meshnet/controller'), { recursive: true });
    writeFileSync(on('/var/lib/meshnet/controller/mesh.db'), 'state');
    expect(install('1.1.0')).toMatchObject({ code: 0 });
    expect(run('dpkg-query', '--show', 'aligned-meshnet').output).toBe('aligned-meshnet\t1.1.0\n');
    expect(readFileSync(on('/etc/default/meshnet-node'), 'utf8')).toContain('--no-push');
    expect(existsSync(on('/var/lib/meshnet/controller/mesh.db'))).toBe(true);
    const services = 'meshnet-controller.service meshnet-node.service';
    expect(told()).toEqual(['daemon-reload', 'daemon-reload', `try-restart ${services}`]);
  });

  test('is removed with the services stopped and the state kept, and purged without a trace', () => {
    writeFileSync(on('/told'), '');
    expect(run('dpkg', '--remove', 'aligned-meshnet')).toMatchObject({ code: 0 });
    expect(told()[0]).toBe('disable --now meshnet-controller.service meshnet-node.service');
    for (const path of [
      '/usr/bin/meshnet',
      '/usr/lib/aligned-meshnet',
      '/usr/lib/sysusers.d/meshnet.conf',
    ]) {
      expect(existsSync(on(path)), path).toBe(false);
    }
    expect(existsSync(on('/var/lib/meshnet/controller/mesh.db'))).toBe(true);
    expect(run('dpkg', '--purge', 'aligned-meshnet')).toMatchObject({ code: 0 });
    for (const path of ['/var/lib/meshnet', '/etc/meshnet', '/etc/default/meshnet-node']) {
      expect(existsSync(on(path)), path).toBe(false);
    }
  });
});
