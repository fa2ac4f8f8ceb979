import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { official } from '../interop/implementations.ts';
import { REAL_INTERFACES, requires } from '../lab/requirements.ts';
import { type LabNode, MeshLab } from './mesh-lab.ts';

const EPOCH_S = 5;
const IDS = ['node-f', 'node-g'] as const;
const NEEDS = [...REAL_INTERFACES, 'ping', 'wg', 'wireguard-go'];

requires(...NEEDS)('two foreign devices with nobody of ours between them', () => {
  let lab: MeshLab;
  let nodes: LabNode[];
  const device = (id: string) => `${id.slice(-1)}${process.pid}`.slice(0, 15);

  beforeAll(async () => {
    lab = await MeshLab.open('linux', IDS, EPOCH_S);
    for (const id of IDS) lab.run(id, [official.command(), '-f', device(id)]);
    await lab.startController();
    nodes = [];
    for (const id of IDS) {
      const socket = `/var/run/wireguard/${device(id)}.sock`;
      await lab.until(() => execFileSync('test', ['-S', socket]) !== undefined, socket);
      nodes.push(await lab.startNode(id, ['--backend', `uapi:${socket}`]));
    }
    await lab.allTalk(nodes, 60_000);
  });
  afterAll(() => lab?.close());

  test('every rotation reaches their sessions; what that costs is measured', async () => {
    const generations = new Set<string>();
    const lines: string[] = [];
    const seconds = 6 * EPOCH_S;
    const pings = [
      lab.run(
        'node-f',
        ['ping', '-n', '-q', '-i', '0.02', '-c', String(seconds * 50), '-W', '2', '10.10.0.3'],
        (line) => {
          if (line.includes('packet loss')) lines.push(line);
        },
      ),
    ];
    const watch = setInterval(() => generations.add(handshakeTime()), 250);
    await Promise.all(pings.map((ping) => ping.ended));
    clearInterval(watch);
    console.info(`two wireguard-go, ${seconds / EPOCH_S} rotations: ${lines.join('')}`);
    // A handshake for each epoch: no session outlives its epoch by more than the grace.
    expect(generations.size).toBeGreaterThanOrEqual(seconds / EPOCH_S);
    const loss = Number(/([\d.]+)% packet loss/.exec(lines.join(''))![1]);
    expect(loss).toBeLessThan(10);
  });

  function handshakeTime(): string {
    const command = lab.place.wrap('node-f', ['wg', 'show', device('node-f'), 'latest-handshakes']);
    return execFileSync(command[0], command.slice(1), { encoding: 'utf8' }).split('\t')[1] ?? '';
  }
});
