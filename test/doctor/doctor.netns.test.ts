import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Examined } from '../../src/cli/meshnet-doctor.ts';
import type { Finding, Subject } from '../../src/doctor/finding.ts';
import { ended, type Namespace, until } from '../lab/netns.ts';
import { REAL_INTERFACES, requires } from '../lab/requirements.ts';
import { useLab } from '../lab/use-lab.ts';

const MESHNET = join(import.meta.dirname, '../../bin/meshnet');
const URL = 'https://192.0.2.1:8440';

requires(...REAL_INTERFACES, 'nft')('the doctor of a mesh on machines', () => {
  let controller: Namespace;
  let a: Namespace;
  let b: Namespace;
  let lan: string;
  const state = mkdtempSync(join(tmpdir(), 'meshnet-doctor-'));
  const of = (name: string) => join(state, name);
  const socket = of('controller/admin.sock');
  const lab = useLab(() => {
    controller = lab.namespace('controller');
    a = lab.namespace('a');
    b = lab.namespace('b');
    const network = lab.namespace('lan');
    network.run(['ip', 'link', 'add', 'br0', 'up', 'type', 'bridge']);
    const connect = (machine: Namespace, address: string) => {
      const [port, own] = lab.veth(network, machine, { right: [address] });
      network.run(['ip', 'link', 'set', port, 'master', 'br0']);
      return own;
    };
    connect(controller, '192.0.2.1/24');
    lan = connect(a, '192.0.2.11/24');
    connect(b, '192.0.2.12/24');
  });
  afterAll(() => rmSync(state, { recursive: true }));

  let stopController: () => Promise<unknown>;
  beforeAll(async () => {
    const listen = ['--listen', '192.0.2.1:8440', '--epoch', '2', '--state', of('controller')];
    const running = controller.spawn([MESHNET, 'controller', ...listen]);
    stopController = () => {
      running.kill('SIGTERM');
      return ended(running);
    };
    for (const [name, machine] of [
      ['a', a],
      ['b', b],
    ] as const) {
      const token = await until(async () => {
        const made = await controller.exec([MESHNET, 'token', 'create', '--socket', socket]);
        return made.code === 0 ? made.stdout.trim() : undefined;
      }, 'a token');
      const own = ['--name', name, '--state', of(name), '--controller', URL];
      const often = ['--score-mean', '0.9', '--emit', '0.5', '--poll', '0.5'];
      machine.spawn([MESHNET, 'node', ...own, ...often], {
        env: { ...process.env, MESHNET_TOKEN: token },
      });
    }
    const ready = await a.exec([MESHNET, 'wait-ready', '--state', of('a'), '--socket', of('none')]);
    expect(ready).toMatchObject({ code: 0 });
    await until(async () => {
      const pinged = ['ping', 'b', '--count', '1', '--state', of('a')];
      return (await a.exec([MESHNET, ...pinged])).code === 0;
    }, 'a way from a to b');
  });

  /** Exit code, and what was found that is not well. */
  async function doctor(machine: Namespace, ...where: string[]) {
    const { code, stdout } = await machine.exec([MESHNET, 'doctor', '--json', ...where]);
    const { examined } = JSON.parse(stdout) as { examined: readonly Examined[] };
    const findings = examined.flatMap((one) => one.findings);
    return { code, findings, bad: findings.filter((one) => one.level !== 'ok') };
  }
  const ofA = () => doctor(a, '--state', of('a'), '--socket', of('none'));
  const ofController = () => doctor(controller, '--state', of('none'), '--socket', socket);
  const about = (findings: readonly Finding[], subject: Subject) =>
    findings.filter((one) => one.subject === subject).map(({ found }) => found);

  test('finds nothing where nothing is wrong, and has looked at everything', async () => {
    const node = await ofA();
    expect(node.bad).toEqual([]);
    expect(node.code).toBe(0);
    const subjects = new Set(node.findings.map((one) => one.subject));
    expect([...subjects].sort()).toEqual(
      // biome-ignore format: a list
      ['authority', 'clock', 'disk', 'endpoints', 'mtu', 'overlap', 'reach', 'rights', 'running',
        'tls', 'udp', 'versions'],
    );
    expect(about(node.findings, 'udp')).toEqual(['b answer through the tunnel']);
    expect(about(node.findings, 'endpoints')[0]).toMatch(
      /^members call this node at 192\.0\.2\.11:/,
    );
    const master = await ofController();
    expect(master.code).toBe(0);
    expect(master.bad.map(({ found }) => found)).toEqual(['this is root']);
    expect(about(master.findings, 'reach')[0]).toMatch(/^https:\/\/192\.0\.2\.1:8440 answers in/);
  });

  test('names a link that is too narrow, a range that is used twice and a key that others can read', async () => {
    a.run(['ip', 'link', 'set', lan, 'mtu', '1400']);
    a.run(['ip', 'address', 'add', '10.10.0.99/24', 'dev', lan]);
    chmodSync(of('a/signing.key'), 0o644);
    const { code, bad } = await ofA();
    a.run(['ip', 'link', 'set', lan, 'mtu', '1500']);
    a.run(['ip', 'address', 'delete', '10.10.0.99/24', 'dev', lan]);
    chmodSync(of('a/signing.key'), 0o600);
    expect(code).toBe(8);
    expect(about(bad, 'mtu')[0]).toContain(`(1420) become 1480, and ${lan} takes 1400`);
    expect(bad.find((one) => one.subject === 'mtu')?.remedy).toContain('mtu 1340');
    expect(about(bad, 'overlap')[0]).toContain(`10.10.0.99/24 of ${lan}`);
    expect(about(bad, 'rights')[0]).toContain('run: chmod 600');
  });

  test('names a member whose datagrams come in no more', async () => {
    b.run([
      'nft',
      'table ip f { chain c { type filter hook input priority 0; udp dport != 0 drop; }; }',
    ]);
    const { code, bad } = await ofA();
    b.run(['nft', 'delete', 'table', 'ip', 'f']);
    expect(code).toBe(8);
    expect(about(bad, 'udp')[0]).toMatch(/^b: /);
    const others: Subject[] = ['reach', 'authority', 'tls', 'disk', 'mtu', 'rights'];
    expect(others.flatMap((one) => about(bad, one))).toEqual([]);
  });

  test('names a controller that has gone, on both sides', async () => {
    await stopController();
    const node = await ofA();
    expect(node.code).toBe(8);
    expect(about(node.bad, 'reach')[0]).toMatch(/cannot be reached: .*ECONNREFUSED/);
    expect(node.bad.find((one) => one.subject === 'reach')?.remedy).toContain('--listen');
    const master = await ofController();
    expect(master.code).toBe(8);
    expect(about(master.bad, 'running')[0]).toContain('socket');
    const people = await a.exec([MESHNET, 'doctor', '--state', of('a'), '--socket', of('none')]);
    expect(people.stdout).toMatch(/^ {2}PROBLEM {2}reach .*\n +-> start the controller there/m);
    expect(people.stderr).toMatch(/^meshnet: \d problems?\n$/);
  });
});
