import { afterEach, expect, test, vi } from 'vitest';
import { main } from '../../src/cli/meshnet.ts';
import { TestMesh } from '../controller/support/test-mesh.ts';

let mesh: TestMesh;
afterEach(() => mesh.stop());

/** Runs `meshnet policy brake`; what it printed, and how it ended. */
async function brake(...parameters: string[]) {
  let out = '';
  const spy = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += String(text);
    return true;
  });
  try {
    const socket = ['--socket', mesh.controller.adminSocket];
    return { code: await main(['policy', 'brake', ...socket, ...parameters]), out };
  } finally {
    spy.mockRestore();
  }
}

test('whom the brake holds is named, with what an operator can say to it; a word ends it', async () => {
  const policy = { maxCut: 0.25, freezeAbove: 0.3, freezeEpochs: 3, minMembers: 0 };
  mesh = await TestMesh.start({ suites: [{ suite: 'alignment' }], brake: policy });
  const nodes = [await mesh.enrol('a', 1), await mesh.enrol('b', 2), await mesh.enrol('c', 3)];
  await mesh.report(0.9, ...nodes);
  await mesh.rotate();
  await mesh.report(0.3, ...nodes.slice(1));
  await mesh.clock.advance(60_000);
  const { code, out } = await brake();
  expect(code).toBe(0);
  expect(out).toMatch(/^frozen: nobody is cut for another \d+ s\n/);
  expect(out).toContain('2 members stay only because of it: b, c\n');
  expect(out).toContain('meshnet policy brake --release');
  expect(JSON.parse((await brake('--json')).out)).toMatchObject({ held: ['b', 'c'] });
  const released = await brake('--release');
  expect(released.out).toMatch(/^released: 2 members are out with epoch \d+\.\d+: b, c\n$/);
  expect((await brake()).out).toBe('the brake holds nobody\n');
});
