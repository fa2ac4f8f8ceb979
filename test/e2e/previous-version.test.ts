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

/** What a node said that speaks of trouble. */
const complaints = ({ heard }: LabNode) =>
  heard
    .map(({ event }) => event)
    .filter((event) => 'ok' in event && event.event !== 'probe' && !event.ok);

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
    await lab.startController();
    const old = await lab.startNode('old', [], previous.root);
    const current = await lab.startNode('current');
    await governed(old, current);
    expect(complaints(old)).toEqual([]);
    expect(complaints(current)).toEqual([]);
  });

  test('its controller governs this node, which says what only a newer controller can do', async () => {
    lab = await MeshLab.open('userspace', ['old', 'current'], EPOCH_S);
    await lab.startController(previous.root);
    const old = await lab.startNode('old', [], previous.root);
    const current = await lab.startNode('current');
    await governed(old, current);
    expect(complaints(old)).toEqual([]);
    expect(complaints(current)).toEqual([]);

    const { signing } = ensureNodeKeys(current.state, randomBytes);
    const never = new AbortController().signal;
    const moved = clientAt(0).putEndpoint(current.id, signing, '192.0.2.1:51820', never);
    await expect(moved).rejects.toThrow(/protocol 1, this node 2: .* upgrade it first/);
    const late = clientAt(-3_600_000).getConfig(current.id, signing, undefined, never);
    await expect(late).rejects.toThrow(/does not sign its time: upgrade the controller first/);
  });
});
