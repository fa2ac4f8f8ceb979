import { cpSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { AgentEvent } from '../../src/agent/events.ts';
import type { RotateAnswer } from '../../src/contract/admin.ts';
import type { Envelope } from '../../src/contract/envelope.ts';
import type { HeaderDocument } from '../../src/contract/epoch/header.ts';
import { payloadOf } from '../controller/support/test-mesh.ts';
import { REAL_INTERFACES, requires } from '../lab/requirements.ts';
import { type LabNode, MeshLab } from './mesh-lab.ts';

/** Long enough that no epoch begins by itself, s: a member that is an epoch behind is no liar's victim. */
const EPOCH_S = 60;
const OFTEN = ['--poll', '1', '--probe', '1', '--emit', '1'];

const configOf = (node: LabNode, { version }: RotateAnswer) =>
  node.heard.some(({ event }) => event.event === 'config' && event.version === version);
const splitViewOf = (node: LabNode) =>
  node.heard.map(({ event }) => event).find((event) => event.event === 'split_view');

/** What two headers of a split view say of who was removed. */
function told({ held, other }: Extract<AgentEvent, { event: 'split_view' }>) {
  return [held, other].map(
    (envelope) => payloadOf<HeaderDocument>(envelope as Envelope).changes.removed,
  );
}

requires(...REAL_INTERFACES)('two members with real interfaces', () => {
  test('that are told two memberships for one epoch find out inside the tunnel', async () => {
    const lab = await MeshLab.open('linux', ['node-a', 'node-b', 'node-c'], EPOCH_S);
    onTestFinished(() => lab.close());
    await lab.startController();
    const a = await lab.startNode('node-a', OFTEN);
    const b = await lab.startNode('node-b', [...OFTEN, '--no-push']);
    const c = await lab.startNode('node-c', OFTEN);
    const isMember = async () =>
      (await lab.epoch()).nodes.filter((one) => one.allowed).length === 3;
    await lab.until(async () => {
      await lab.ask('POST', '/v1/rotate');
      return isMember();
    }, 'three members');
    await lab.allTalk([a, b]);

    // One story: c is out. Only a hears it, and then nothing more from any controller.
    const copy = lab.copyController();
    process.kill(b.pid, 'SIGSTOP');
    const one = await lab.ask<RotateAnswer>('DELETE', '/v1/nodes/node-c');
    await lab.until(() => configOf(a, one), 'a to hear that c is out');
    await c.child.stop(5000); // it has heard that, too, and would tell the other controller of it
    await lab.killController();
    const controller = new URL(lab.place.controllerUrl).hostname;
    const cut = lab.run('node-a', ['ip', 'route', 'add', 'blackhole', `${controller}/32`]);
    await cut.ended;

    // The other: a controller of the same key that never heard of the removal tells b that c stays.
    rmSync(lab.controllerState, { recursive: true });
    cpSync(copy, lab.controllerState, { recursive: true });
    await lab.startController();
    const other = await lab.ask<RotateAnswer>('POST', '/v1/rotate');
    expect(other).toEqual(one);
    process.kill(b.pid, 'SIGCONT');
    await lab.until(() => configOf(b, other), 'b to hear that c stays');

    await lab.until(() => [a, b].every((node) => splitViewOf(node)), 'both to find out', 30_000);
    expect(told(splitViewOf(a)!)).toEqual([['node-c'], []]);
    expect(told(splitViewOf(b)!)).toEqual([[], ['node-c']]);
    for (const { state } of [a, b]) {
      const file = join(state, 'split-views.json'); // written after it was said
      await lab.until(() => existsSync(file), `${file} to be there`);
      const kept = JSON.parse(readFileSync(file, 'utf8'));
      expect(kept).toHaveLength(1);
    }
  });
});
