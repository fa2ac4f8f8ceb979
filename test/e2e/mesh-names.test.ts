import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { requires } from '../lab/requirements.ts';
import { MeshLab } from './mesh-lab.ts';

const EPOCH_S = 3;

requires(
  'linux',
  'root',
  'tun',
  'netns',
  'node:ffi',
  'getent',
  'ping',
)('names, on real interfaces', () => {
  test("the machine's own resolver asks the tunnel address: members have a name, others none", async () => {
    const lab = await MeshLab.open('linux', ['node-a', 'node-b'], EPOCH_S);
    onTestFinished(() => lab.close());
    await lab.startController();
    const a = await lab.startNode('node-a', ['--dns']);
    const b = await lab.startNode('node-b');
    await lab.allTalk([a, b]);

    const { nodes } = await lab.epoch();
    const addressOf = (id: string) => nodes.find(({ node_id }) => node_id === id)!.tunnel_address;
    const resolvConf = join(lab.directory, 'resolv.conf');
    writeFileSync(resolvConf, `nameserver ${addressOf('node-a')}\n`);
    /** Runs a program of the machine that node-a is, which asks node-a for names. */
    const run = async (...command: string[]) => {
      let printed = '';
      const script = `mount --bind ${resolvConf} /etc/resolv.conf && exec "$@"`;
      const child = lab.run('node-a', ['sh', '-c', script, 'sh', ...command], (line) => {
        printed += line;
      });
      await child.ended;
      return printed;
    };

    const found = await run('getent', 'ahostsv4', 'node-b.mesh');
    expect(found.split(/\s+/)[0]).toBe(addressOf('node-b'));
    const reached = await run('ping', '-c', '1', '-w', '20', 'node-b.mesh');
    expect(reached).toContain(`PING node-b.mesh (${addressOf('node-b')})`);
    expect(reached).toContain('1 received');
    expect(await run('getent', 'ahostsv4', 'node-x.mesh')).toBe('');

    lab.score('node-b', 0.1);
    await lab.until(
      async () => (await run('getent', 'ahostsv4', 'node-b.mesh')) === '',
      'the name of a node that is cut to go',
    );
    expect(await run('getent', 'ahostsv4', 'node-a.mesh')).toContain(addressOf('node-a'));
  });
});
