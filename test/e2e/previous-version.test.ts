import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../src/agent/clock.ts';
import { ControllerClient } from '../../src/agent/controller-client.ts';
import { ensureNodeKeys } from '../../src/agent/node-keys.ts';
import type { EpochDocument } from '../../src/contract/epoch.ts';
import { defaultProvider } from '../../src/crypto/select.ts';
import { type PreviousVersion, previousVersion } from '../lab/previous-version.ts';
import { requires } from '../lab/requirements.ts';
import { type LabNode, MeshLab } from './mesh-lab.ts';

const EPOCH_S = 3;

let previous: PreviousVersion;
let lab: MeshLab;
beforeAll(() => {
  previous = previousVersion();
});
afterAll(() => previous?.remove());
afterEach(() => lab?.close());

const members = ({ nodes }: EpochDocument) =>
  nodes.filter((node) => node.allowed).map((node) => node.node_id);

/** What a call comes to where the machine is slow. */
const SLOW = ['timeout', 'unreachable', 'overloaded'];

/** What a node was refused, or would not take; a machine that is slow just now is neither. */
const refusals = ({ heard }: LabNode) =>
  heard
    .map(({ event }) => event)
    .filter((event) =>
      event.event === 'controller'
        ? !event.ok && !SLOW.includes(event.code)
        : event.event === 'ignored' || (event.event === 'endpoint' && !event.ok),
    );

/** A controller refuses what was signed in the second of its start; a node of before reports that. */
async function startController(root?: string): Promise<void> {
  await lab.startController(root);
  const second = () => Math.floor(Date.now() / 1000);
  const started = second();
  await lab.until(() => second() > started, 'the second of its start to be over');
}

/** One node of each version: both talk, the keys change under them, and each is cut when it must be. */
async function governed(old: LabNode, current: LabNode): Promise<void> {
  await lab.allTalk([old, current]);
  const { epoch } = await lab.epoch();
  await lab.until(async () => (await lab.epoch()).epoch >= epoch + 2, 'two epochs');
  await lab.allTalk([old, current]);
  for (const [cut, other] of [
    [old, current],
    [current, old],
  ] as const) {
    lab.score(cut.id, 0.1);
    await lab.until(
      async () => !members(await lab.epoch()).includes(cut.id),
      `${cut.id} to be cut`,
    );
    const since = performance.now();
    await lab.until(() => lab.answered(other, cut.id, since) === false, 'silence');
    lab.score(cut.id, 0.9);
    await lab.allTalk([old, current]);
  }
}

/** A node's end of the calls, on a machine whose clock is `offMs` ahead. */
function clientAt(offMs: number): ControllerClient {
  return new ControllerClient({
    fetch,
    clock: { ...systemClock, wall: () => systemClock.wall() + offMs },
    crypto: defaultProvider(),
    random: randomBytes,
    url: lab.place.controllerUrl,
    timeoutMs: 5000,
  });
}

requires('git', 'tar')('beside the previous version', () => {
  test('its node is governed by this controller', async () => {
    lab = await MeshLab.open('userspace', ['old', 'current'], EPOCH_S);
    await startController();
    const old = await lab.startNode('old', [], previous.root);
    const current = await lab.startNode('current');
    await governed(old, current);
    expect(refusals(old)).toEqual([]);
    expect(refusals(current)).toEqual([]);
  });

  test('its controller governs this node, which says what only a newer controller can do', async () => {
    lab = await MeshLab.open('userspace', ['old', 'current'], EPOCH_S);
    await startController(previous.root);
    const old = await lab.startNode('old', [], previous.root);
    const current = await lab.startNode('current');
    await governed(old, current);
    expect(refusals(old)).toEqual([]);
    expect(refusals(current)).toEqual([]);

    const { signing } = ensureNodeKeys(current.state, randomBytes);
    const never = new AbortController().signal;
    const moved = clientAt(0).putEndpoint(current.id, signing, '192.0.2.1:51820', never);
    await expect(moved).rejects.toThrow(/protocol 1, this node 2: .* upgrade it first/);
    const late = clientAt(-3_600_000).getConfig(current.id, signing, undefined, never);
    await expect(late).rejects.toThrow(/does not sign its time: upgrade the controller first/);
  });

  test('a mesh is upgraded one process at a time, each on the state that the older one left', async () => {
    lab = await MeshLab.open('userspace', ['a', 'b'], EPOCH_S);
    await lab.startController(previous.root);
    const a = await lab.startNode('a', [], previous.root);
    const b = await lab.startNode('b', [], previous.root);
    await lab.allTalk([a, b]);
    const { epoch } = await lab.epoch();

    await a.child.stop(5000);
    const newerA = await lab.startNode('a');
    await lab.allTalk([newerA, b]);

    await lab.killController();
    await lab.startController();
    await lab.until(async () => (await lab.epoch()).epoch > epoch, 'the epochs to go on');
    await lab.allTalk([newerA, b]);

    await b.child.stop(5000);
    const newerB = await lab.startNode('b');
    await governed(newerA, newerB);
  });
});
