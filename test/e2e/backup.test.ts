import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { NodeRig } from './node-rig.ts';

const soon = { timeout: 20_000, interval: 20 };

test('nodes tell a controller whose backup was put back unannounced, and it says so', async () => {
  const rig = await NodeRig.open({ epochS: 1.5 });
  const database = join(rig.state, 'mesh.db');
  const backup = join(rig.directory.path, 'backup.db');
  try {
    const { node } = await rig.node('a', () => 0.9);
    const epochNow = () => rig.controller.services.governor.current!.epoch;
    const notReady = () => rig.controller.services.governor.notReady ?? '';
    await expect.poll(() => node.status().state, soon).toBe('member');
    await rig.restart(() => copyFileSync(database, backup));
    const before = epochNow();
    await expect.poll(() => node.status().epoch, soon).toBeGreaterThan(before + 1);
    await rig.restart(() => copyFileSync(backup, database));
    await expect.poll(notReady, soon).toContain('run: meshnet controller restored');
    expect(rig.controller.services.governor.servable).toBeUndefined();
    expect(epochNow()).toBeLessThan(node.status().epoch);
  } finally {
    await rig.close();
  }
});
