import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { ended, type Namespace, until } from '../lab/netns.ts';
import { REAL_INTERFACES, requires } from '../lab/requirements.ts';
import { useLab } from '../lab/use-lab.ts';

const MESHNET = join(import.meta.dirname, '../../bin/meshnet');

requires(...REAL_INTERFACES)("a mesh whose addresses are also the LAN's", () => {
  let machine: Namespace;
  let neighbour: Namespace;
  let lan: string;
  const lab = useLab(() => {
    machine = lab.namespace('machine');
    neighbour = lab.namespace('neighbour');
    [lan] = lab.veth(machine, neighbour, { left: ['192.0.2.1/24'], right: ['192.0.2.2/24'] });
  });

  function folder(): string {
    const path = mkdtempSync(join(tmpdir(), 'meshnet-range-'));
    onTestFinished(() => rmSync(path, { recursive: true, force: true }));
    return path;
  }

  test('is refused at the start, and later the node is not ready, with both named', async () => {
    const state = folder();
    const controller = machine.spawn([
      MESHNET,
      'controller',
      '--state',
      join(state, 'c'),
      '--listen',
      '192.0.2.1:8440',
      '--epoch',
      '2',
    ]);
    onTestFinished(async () => {
      controller.kill('SIGTERM');
      await ended(controller);
    });
    const socket = join(state, 'c', 'admin.sock');
    const added = await until(async () => {
      const made = await machine.exec([MESHNET, 'token', 'create', '--socket', socket]);
      return made.code === 0 ? made.stdout.trim() : undefined;
    }, 'the controller');
    const node = (name: string) =>
      machine.spawn(
        [
          MESHNET,
          'node',
          '--name',
          'node-a',
          '--state',
          join(state, name),
          '--controller',
          'https://192.0.2.1:8440',
          '--backend',
          'linux',
          '--score-mean',
          '0.9',
          '--emit',
          '0.5',
          '--poll',
          '0.5',
          '--json',
        ],
        { env: { ...process.env, MESHNET_TOKEN: added } },
      );

    // The neighbour's LAN has the mesh's range.
    machine.run(['ip', 'address', 'add', '10.10.0.99/24', 'dev', lan]);
    const refused = node('a');
    const stderr = text(refused.stderr!);
    expect((await ended(refused)).code).toBe(1);
    const said = await stderr;
    expect(said).toContain(`10.10.0.0/24, overlap 10.10.0.99/24 of ${lan}`);
    expect(said).toContain('--tunnel-prefix');
    machine.run(['ip', 'address', 'delete', '10.10.0.99/24', 'dev', lan]);

    const running = node('a');
    onTestFinished(async () => {
      running.kill('SIGTERM');
      await ended(running);
    });
    const status = () => {
      try {
        return JSON.parse(readFileSync(join(state, 'a', 'status.json'), 'utf8'));
      } catch {
        return undefined; // not written yet
      }
    };
    await until(() => status()?.ready, 'a node that is ready');
    machine.run(['ip', 'route', 'add', '10.10.0.64/26', 'via', '192.0.2.2']);
    const reason = await until(() => {
      const { ready, ready_reason } = status();
      return ready ? undefined : (ready_reason as string);
    }, 'a node that is not ready');
    expect(reason).toContain('the route to 10.10.0.64/26');
    machine.run(['ip', 'route', 'delete', '10.10.0.64/26']);
    await until(() => status()?.ready, 'a node that is ready again');
  });
});
