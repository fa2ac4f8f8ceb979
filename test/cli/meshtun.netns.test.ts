import { execFileSync, spawn } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, expect, test } from 'vitest';
import { ended, type Namespace, until } from '../lab/netns.ts';
import { requires } from '../lab/requirements.ts';
import { useLab } from '../lab/use-lab.ts';

const MESHTUN = resolve(import.meta.dirname, '../../bin/meshtun');
const SOCKETS = '/var/run/wireguard';
const socketOf = (name: string) => `${SOCKETS}/${name}.sock`;

requires(
  'linux',
  'root',
  'tun',
  'netns',
  'wg',
  'socat',
  'ss',
  'setpriv',
  'unshare',
  'node:ffi',
)('meshtun', () => {
  let namespace: Namespace;
  const lab = useLab((lab) => {
    namespace = lab.namespace('m');
  });
  const folder = mkdtempSync(join(tmpdir(), 'meshtun-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  /** Commands that give a shell a /dev of its own, so that this machine's log, if it has one, hears nothing. */
  const ownDev = () => `
      set -e
      mkdir -p ${folder}/dev
      mount -t tmpfs tmpfs ${folder}/dev && mkdir ${folder}/dev/net
      for device in null urandom net/tun; do
        touch ${folder}/dev/$device && mount --bind /dev/$device ${folder}/dev/$device
      done
      mount --rbind ${folder}/dev /dev
      socat -u UNIX-RECV:/dev/log CREATE:${folder}/syslog &
      while [ ! -S /dev/log ]; do sleep 0.01; done`;
  afterEach(() => {
    // Only after a test that failed is anything left.
    for (const pid of processes().split('\n').filter(Boolean)) process.kill(Number(pid), 'SIGKILL');
    for (const file of existsSync(SOCKETS) ? readdirSync(SOCKETS) : []) {
      if (file.startsWith(lab.prefix)) unlinkSync(join(SOCKETS, file));
    }
  });

  /** Process ids in the namespace, asked from outside, where the question is no process of it. */
  const processes = () =>
    execFileSync('ip', ['netns', 'pids', namespace.name], { encoding: 'utf8' }).trim();
  /** True when no process, interface and socket of `name` is left. */
  const isGone = (name: string) =>
    processes() === '' && namespace.interfaces().length === 0 && !existsSync(socketOf(name));

  async function stop(name: string): Promise<void> {
    process.kill(Number(processes()), 'SIGTERM');
    await until(() => isGone(name), `the end of ${name}`);
  }

  test('returns when interface and socket exist, and goes on in the background', async () => {
    const name = lab.interfaceName('a');
    expect(await namespace.exec([MESHTUN, name])).toMatchObject({
      code: 0,
      stdout: '',
      stderr: '',
    });
    expect(namespace.interfaces()).toEqual([name]);
    expect(statSync(socketOf(name)).mode & 0o777).toBe(0o600);
    expect(namespace.run(['wg', 'show', name])).toContain(`interface: ${name}`);
    const [link] = namespace.ip<{ mtu: number }[]>('link', 'show', name);
    expect(link?.mtu).toBe(1420);
    // In a session of its own, with nothing of its starter left.
    const stat = readFileSync(`/proc/${processes()}/stat`, 'utf8').split(') ')[1]!.split(' ');
    expect(stat[3]).toBe(processes());
    expect(readFileSync(`/proc/${processes()}/environ`, 'latin1')).toContain('READY_FD=3');
    // The number may have been given to something else since.
    const third = `/proc/${processes()}/fd/3`;
    expect(existsSync(third) ? readlinkSync(third) : '').not.toMatch(/^pipe:/);
    await stop(name);
  });

  test('ends on SIGTERM and SIGINT, and when its interface or its socket is deleted', async () => {
    const ends: Record<string, (name: string) => void> = {
      SIGTERM: () => process.kill(Number(processes()), 'SIGTERM'),
      SIGINT: () => process.kill(Number(processes()), 'SIGINT'),
      interface: (name) => namespace.run(['ip', 'link', 'del', name]),
      socket: (name) => unlinkSync(socketOf(name)),
    };
    const name = lab.interfaceName('c');
    for (const [what, end] of Object.entries(ends)) {
      expect((await namespace.exec([MESHTUN, name])).code).toBe(0);
      end(name);
      await until(() => isGone(name), `the end after ${what}`);
    }
  });

  test('stays in front with -f, and ends with status 0', async () => {
    for (const [argv, env] of [
      [['-f'], {}],
      [[], { WG_PROCESS_FOREGROUND: '1' }],
    ] as const) {
      const name = lab.interfaceName(`d${argv.length}`);
      const child = namespace.spawn([MESHTUN, ...argv, name], { env: { ...process.env, ...env } });
      await until(() => existsSync(socketOf(name)), 'the socket');
      child.kill('SIGTERM');
      expect(await ended(child)).toEqual({ code: 0, signal: null });
      expect(isGone(name)).toBe(true);
    }
  });

  test('opens no debugger on SIGUSR1, in front or in the background', async () => {
    for (const argv of [[], ['-f']]) {
      const name = lab.interfaceName(`u${argv.length}`);
      const child = namespace.spawn([MESHTUN, ...argv, name]);
      await until(() => existsSync(socketOf(name)), 'the socket');
      if (argv.length === 0) await ended(child);
      process.kill(Number(processes()), 'SIGUSR1');
      // It has taken the signal by the time that it answers, and does not listen anywhere.
      expect(namespace.run(['wg', 'show', name])).toContain(`interface: ${name}`);
      expect(namespace.run(['ss', '-Hltn'])).toBe('');
      await stop(name);
    }
  });

  test('refuses a second start on the same name, in any namespace', async () => {
    const name = lab.interfaceName('e');
    const other = lab.namespace('n');
    expect((await namespace.exec([MESHTUN, name])).code).toBe(0);
    for (const where of [namespace, other]) {
      const second = await where.exec([MESHTUN, name]);
      expect(second.code).toBe(1);
      expect(second.stderr).toMatch(/^meshtun: .* is running already: .*\n$/);
    }
    expect(namespace.run(['wg', 'show', name])).toContain(name);
    await stop(name);
  });

  test('takes over the socket of a daemon that was killed', async () => {
    const name = lab.interfaceName('f');
    expect((await namespace.exec([MESHTUN, name])).code).toBe(0);
    process.kill(Number(processes()), 'SIGKILL');
    await until(() => processes() === '', 'its end');
    expect(existsSync(socketOf(name))).toBe(true);
    expect((await namespace.exec([MESHTUN, name])).code).toBe(0);
    await stop(name);
  });

  test('tells on its own standard error why it could not start', async () => {
    const taken = lab.interfaceName('g');
    namespace.run(['ip', 'link', 'add', taken, 'type', 'veth', 'peer', 'name', `${taken}p`]);
    const result = await namespace.exec([MESHTUN, taken]);
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/^meshtun: .*TUNSETIFF.*\n$/);
    expect(existsSync(socketOf(taken))).toBe(false);
    namespace.run(['ip', 'link', 'del', taken]);

    const unprivileged = lab.interfaceName('h');
    const refused = await namespace.exec([
      'setpriv',
      '--bounding-set=-net_admin',
      MESHTUN,
      unprivileged,
    ]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('CAP_NET_ADMIN');
    expect(isGone(unprivileged)).toBe(true);

    // It dies before it can say anything: the parent says how.
    const killed = await namespace.exec([MESHTUN, unprivileged], {
      env: {
        NODE_OPTIONS:
          '--import=data:text/javascript,process.env.MESHTUN_READY_FD&&process.kill(process.pid,9)',
      },
    });
    expect(killed.code).toBe(1);
    expect(killed.stderr).toContain('ended before it was ready (SIGKILL)');

    const usage = await namespace.exec([MESHTUN, 'a/b']);
    expect(usage.code).toBe(2);
  });

  test('writes its log to a file that only its owner reads', async () => {
    const name = lab.interfaceName('i');
    const file = join(folder, 'log');
    const env = { LOG_LEVEL: 'verbose' };
    expect((await namespace.exec([MESHTUN, '--log-file', file, name], { env })).code).toBe(0);
    await namespace.exec(['wg', 'set', name, 'listen-port', '1']);
    await stop(name);
    expect(readFileSync(file, 'utf8')).toMatch(
      /^\d{4}-.*Z \(.*\) .*ready\n(.*\n)*.*ended: SIGTERM\n$/,
    );
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const unwritable = await namespace.exec([MESHTUN, '--log-file', folder, name]);
    expect(unwritable).toMatchObject({ code: 1, stderr: expect.stringContaining('EISDIR') });
  });

  test('asks for the offloads it was told to, and its log names those in use', async () => {
    const name = lab.interfaceName('o');
    const start = async (options: string[], environment: Record<string, string>) => {
      const file = join(folder, `offloads-${options.length}-${Object.keys(environment).length}`);
      const env = { LOG_LEVEL: 'verbose', ...environment };
      const result = await namespace.exec([MESHTUN, '--log-file', file, ...options, name], { env });
      expect(result.code, result.stderr).toBe(0);
      await stop(name);
      return readFileSync(file, 'utf8');
    };
    expect(await start([], { MESH_OFFLOADS: 'tun-tcp,udp-segment' })).toMatch(
      /AEAD wasm-simd.*, offloads tun-tcp, udp-segment\n/,
    );
    expect(await start(['--offloads', 'none'], { MESH_OFFLOADS: 'all' })).toMatch(
      /, offloads none\n/,
    );
    const wrong = await namespace.exec([MESHTUN, name], { env: { MESH_OFFLOADS: 'fast' } });
    expect(wrong.code).toBe(1);
    expect(wrong.stderr).toContain('MESH_OFFLOADS is "fast"; expected all, none or some of');
    expect(isGone(name)).toBe(true);
  });

  test('sends its log to syslog', async () => {
    const name = lab.interfaceName('j');
    const script = `${ownDev()}
      LOG_LEVEL=verbose ${MESHTUN} ${name}
      ip link del ${name}
      while [ -S ${socketOf(name)} ]; do sleep 0.01; done
      sleep 0.2
      kill $!`;
    const result = await namespace.exec(['unshare', '-m', 'sh', '-c', script]);
    expect(result.code, result.stderr).toBe(0);
    const log = readFileSync(join(folder, 'syslog'), 'utf8');
    expect(log).toMatch(/meshtun.*: \(.*\) .* are ready/);
    expect(log).toMatch(/ended: its interface was deleted/);
  });

  test('says that nothing is logged where there is a syslog and no program to reach it', async () => {
    const name = lab.interfaceName('q');
    const script = `${ownDev()}
      mkdir ${folder}/bin
      for program in dirname readlink ls mkdir; do
        ln -s $(command -v $program) ${folder}/bin/$program
      done
      PATH=${folder}/bin ${MESHTUN} ${name}
      ip link del ${name}
      while [ -S ${socketOf(name)} ]; do sleep 0.01; done
      kill $!`;
    const result = await namespace.exec(['unshare', '-m', 'sh', '-c', script]);
    expect(result.code, result.stderr).toBe(0);
    expect(result.stderr).toContain('nothing is logged: there is a syslog, but logger(1)');
  });

  test('takes an interface and a socket that were opened for it', async () => {
    for (const foreground of [true, false]) {
      const name = lab.interfaceName(foreground ? 'k' : 'l');
      const helper = resolve(import.meta.dirname, 'with-descriptors.ts');
      const command = [process.execPath, helper, name, socketOf(name), MESHTUN, name];
      const child = namespace.spawn(foreground ? [...command, '-f'] : command);
      if (foreground) await until(() => existsSync(socketOf(name)), 'the socket');
      else expect(await ended(child)).toEqual({ code: 0, signal: null });
      expect(namespace.run(['wg', 'show', name])).toContain(name);
      expect(namespace.interfaces()).toEqual([name]);
      namespace.run(['ip', 'link', 'del', name]);
      await until(() => isGone(name), 'its end');
    }
  });

  test('a configuration that is refused changes nothing; the own key is no peer', async () => {
    const name = lab.interfaceName('m');
    expect((await namespace.exec([MESHTUN, name])).code).toBe(0);
    const wg = (...args: string[]) => namespace.exec(['wg', ...args]);
    const privateKey = namespace.run(['wg', 'genkey']).trim();
    const publicKey = namespace.run(['wg', 'pubkey'], { input: privateKey }).trim();
    const file = join(folder, 'key');
    writeFileSync(file, privateKey, { mode: 0o600 });
    const set = ['private-key', file, 'listen-port', '51900', 'peer', publicKey];
    expect((await wg('set', name, ...set)).code).toBe(0);
    expect((await wg('show', name, 'peers')).stdout).toBe('');
    expect((await wg('show', name, 'public-key')).stdout.trim()).toBe(publicKey);

    const blocker = namespace.spawn(['socat', '-u', 'UDP-RECV:51901', 'STDOUT']);
    await until(() => namespace.run(['ss', '-lun']).includes(':51901 '), 'a socket on the port');
    const before = namespace.run(['wg', 'showconf', name]);
    const refused = await wg('set', name, 'fwmark', '7', 'listen-port', '51901');
    expect(refused.stderr).toContain('Address already in use');
    expect(namespace.run(['wg', 'showconf', name])).toBe(before);
    blocker.kill();
    await ended(blocker);
    await stop(name);
  });

  test('takes 100,000 allowed-ips, and shows them', async () => {
    const name = lab.interfaceName('n');
    const file = join(folder, 'large.conf');
    const peers = Array.from({ length: 100 }, (_, peer) => {
      const key = Buffer.alloc(32, 9);
      key.writeUInt32BE(peer);
      const ips = Array.from(
        { length: 1000 },
        (_, at) => `10.${peer}.${at >> 2}.${(at & 3) << 6}/26`,
      );
      return `[Peer]\nPublicKey = ${key.toString('base64')}\nAllowedIPs = ${ips.join(', ')}\n`;
    });
    writeFileSync(file, `[Interface]\n${peers.join('')}`);
    expect((await namespace.exec([MESHTUN, name])).code).toBe(0);
    const start = performance.now();
    expect((await namespace.exec(['wg', 'setconf', name, file])).code).toBe(0);
    const set = performance.now();
    const shown = await namespace.exec(['wg', 'show', name, 'allowed-ips']);
    expect(shown.stdout.match(/\/26/g)).toHaveLength(100_000);
    const times = [set - start, performance.now() - set].map((time) => time.toFixed(0));
    console.log(`100,000 allowed-ips: set in ${times[0]} ms, shown in ${times[1]} ms`);
    await stop(name);
  });

  test('works through links, from any directory, with an old node first in the path', async () => {
    const link = join(folder, 'link');
    const second = join(folder, 'second');
    symlinkSync(MESHTUN, link);
    symlinkSync('link', second);
    writeFileSync(join(folder, 'node'), '#!/bin/sh\necho v20.0.0\n', { mode: 0o755 });
    const env = { PATH: `${folder}:${process.env.PATH}` };
    const child = spawn('sh', ['-c', 'cd / && second --version'], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    child.stdout.on('data', (data) => {
      output += data;
    });
    expect(await ended(child)).toEqual({ code: 0, signal: null });
    expect(output).toMatch(/^meshtun \d+\.\d+\.\d+\n$/);
  });

  test('says what is missing if there is no Node 26', async () => {
    const env = { MESHNET_NODE: join(folder, 'node') };
    const result = await namespace.exec([MESHTUN, '--version'], { env });
    expect(result.code).toBe(1);
    expect(result.stderr).toContain('no Node 26');
  });
});
