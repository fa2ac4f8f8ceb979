import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { NodeStatusDocument } from '../../src/agent/status.ts';
import { official } from '../interop/implementations.ts';
import { REAL_INTERFACES, requires } from '../lab/requirements.ts';
import { type LabNode, MeshLab } from './mesh-lab.ts';

const EPOCH_S = 4;
const NEEDS = [...REAL_INTERFACES, 'ping', 'wg', 'wireguard-go'];

requires(...NEEDS)('a mesh with a foreign device in it', () => {
  const name = `mf${process.pid}`.slice(0, 15);
  const socket = `/var/run/wireguard/${name}.sock`;
  let lab: MeshLab;
  let a: LabNode;
  let b: LabNode;
  let foreign: LabNode;

  beforeAll(async () => {
    lab = await MeshLab.open('linux', ['node-a', 'node-b', 'node-f'], EPOCH_S);
    lab.run('node-f', [official.command(), '-f', name]);
    await lab.startController();
    await lab.until(() => foreignPeers() !== undefined, 'the foreign device');
    [a, b, foreign] = [
      await lab.startNode('node-a', ['--interface', 'mesh0']),
      await lab.startNode('node-b', ['--interface', 'mesh0']),
      await lab.startNode('node-f', ['--backend', `uapi:${socket}`]),
    ];
    await lab.allTalk([a, b, foreign], 60_000);
  });
  afterAll(() => lab?.close());

  /** Keys of the peers that wireguard-go has; undefined while there is no device. */
  function foreignPeers(): string[] | undefined {
    try {
      const command = lab.place.wrap('node-f', ['wg', 'show', name, 'peers']);
      const text = execFileSync(command[0], command.slice(1), { encoding: 'utf8', stdio: 'pipe' });
      return text.split('\n').filter((line) => line !== '');
    } catch {
      return undefined;
    }
  }

  test('rotations go on with packets flowing both ways', async () => {
    const loss: string[] = [];
    const pings = (['node-a', 'node-f'] as const).map((from) => {
      const to = from === 'node-a' ? '10.10.0.4' : '10.10.0.2';
      const command = [
        'ping',
        '-n',
        '-q',
        '-i',
        '0.02',
        '-c',
        String(3 * EPOCH_S * 50),
        '-W',
        '2',
        to,
      ];
      return lab.run(from, command, (line) => {
        if (line.includes('packet loss')) loss.push(`${from}: ${line}`);
      });
    });
    await Promise.all(pings.map((ping) => ping.ended));
    const { drops } = readStatus(foreign);
    console.info(
      `wireguard-go behind the agent, 3 rotations: ${loss.join('; ')}; sessions renewed by force: ${drops.foreignPeerAddedAgain}`,
    );
    expect(loss).toHaveLength(2);
    for (const line of loss) expect(Number(/([\d.]+)% packet loss/.exec(line)![1])).toBeLessThan(2);
    expect(readStatus(foreign)).toMatchObject({ backend: 'uapi', state: 'member' });
  });

  test('the foreign node is shut out by its score, drops everybody, and comes back', async () => {
    lab.score('node-f', 0.1);
    await lab.until(async () => !memberIn(await lab.epoch(), 'node-f'), 'the exclusion');
    await delay(500);
    const since = performance.now();
    expect(foreignPeers()).toEqual([]);
    await delay(EPOCH_S * 1000);
    for (const node of [a, b]) expect(lab.answered(node, 'node-f', since)).toBe(false);
    expect(lab.answered(foreign, 'node-a', since)).toBe(false);
    expect(lab.answered(a, 'node-b', since)).toBe(true);
    lab.score('node-f', 0.9);
    await lab.until(async () => memberIn(await lab.epoch(), 'node-f'), 'the readmission');
    const admitted = performance.now();
    await lab.allTalk([a, b, foreign]);
    console.info(`readmitted, all pairs after ${Math.round(performance.now() - admitted)} ms`);
  });

  test('another node that is shut out loses its place on the foreign device, at once', async () => {
    const before = foreignPeers()!;
    expect(before).toHaveLength(2);
    lab.score('node-b', 0.1);
    await lab.until(async () => !memberIn(await lab.epoch(), 'node-b'), 'the exclusion');
    const decided = performance.now();
    await lab.until(() => foreignPeers()?.length === 1, 'the foreign device to drop it', 5000);
    console.info(
      `wireguard-go dropped the denied peer at most ${Math.round(performance.now() - decided)} ms after the epoch was seen`,
    );
    await lab.allTalk([a, foreign]);
    lab.score('node-b', 0.9);
    await lab.until(async () => memberIn(await lab.epoch(), 'node-b'), 'the readmission');
    await lab.allTalk([a, b, foreign]);
  });

  test('when the agent is killed the watchdog empties the foreign device', async () => {
    expect(foreignPeers()).toHaveLength(2);
    process.kill(foreign.pid, 'SIGKILL');
    const killed = performance.now();
    await lab.until(() => foreignPeers()?.length === 0, 'the device to be empty', 5000);
    console.info(`device empty ${Math.round(performance.now() - killed)} ms after kill -9`);
    const since = performance.now();
    await delay(EPOCH_S * 1000);
    expect(lab.answered(a, 'node-f', since)).toBe(false);
  });

  test('an agent that is started again takes the device over and is a member again', async () => {
    foreign = await lab.startNode('node-f', ['--backend', `uapi:${socket}`]);
    await lab.allTalk([a, b, foreign], 60_000);
  });
});

function memberIn(epoch: Awaited<ReturnType<MeshLab['epoch']>>, id: string): boolean {
  return epoch.nodes.find((node) => node.node_id === id)?.allowed === true;
}

function readStatus(node: LabNode): NodeStatusDocument {
  return JSON.parse(readFileSync(`${node.state}/status.json`, 'utf8')) as NodeStatusDocument;
}
