import { execFile, execFileSync, spawn } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import type { Summary } from '../../src/demo/model.ts';
import { missing, requires } from '../lab/requirements.ts';
import { answered, type DemoEvent, DemoRun, leftovers } from './mesh-demo-support.ts';

const run = promisify(execFile);
const NEEDS = ['root', 'tun', 'netns', 'node:ffi'];
const inNamespaces = requires(...NEEDS);
const withInterfaces = missing(...NEEDS).length === 0;

/** Epochs seen from begin to end that began after both a and b had reported. */
function wholeEpochs(demo: DemoRun): Summary['epochs'] {
  const reported = ['node-a', 'node-b'].map((node) => {
    const first = demo.events.find(({ event, from }) => event === 'score' && from === node);
    return first?.at as number;
  });
  const known = Math.max(...reported);
  const whole = demo.events
    .filter((event) => event.event === 'epoch' && (event.started_at as number) > known)
    .map((event) => event.epoch)
    .slice(0, -1);
  return demo.summary.epochs.filter(({ epoch }) => whole.includes(epoch));
}

function expectSteady(demo: DemoRun, mode: string): void {
  const { summary } = demo;
  expect(summary).toMatchObject({
    event: 'summary',
    mode,
    members: ['node-a', 'node-b'],
    denied: ['node-c'],
    leaks: 0,
    exclusions: 0,
  });
  expect(wholeEpochs(demo).length).toBeGreaterThanOrEqual(5);
  for (const epoch of wholeEpochs(demo)) {
    expect(epoch.members).toEqual(['node-a', 'node-b']);
    const [ab, ba] = answered(epoch.packets, 'node-a', 'node-b');
    expect(ab, `epoch ${epoch.epoch}, a to b`).toBeGreaterThan(0);
    expect(ba, `epoch ${epoch.epoch}, b to a`).toBeGreaterThan(0);
  }
  for (const node of ['node-a', 'node-b']) {
    expect(answered(summary.packets, node, 'node-c')).toEqual([0, 0]);
    expect(summary.packets[`node-c>${node}`]!.sent).toBeGreaterThan(10); // it did ask
  }
}

/** The epoch in which the last change of a node's verdict took effect. */
function changeOf(summary: Summary, node: string, allowed: boolean): number {
  const change = summary.changes.findLast((one) => one.node === node);
  expect(change?.allowed).toBe(allowed);
  return change!.epoch;
}

function expectDecay(demo: DemoRun): void {
  const { summary } = demo;
  expect(summary).toMatchObject({ members: ['node-a'], denied: ['node-b', 'node-c'], leaks: 0 });
  expect(summary.exclusions).toBe(1);
  const epoch = changeOf(summary, 'node-b', false);
  for (const record of wholeEpochs(demo)) {
    const [ab, ba] = answered(record.packets, 'node-a', 'node-b');
    // In the epoch of the change itself an echo may have been under way.
    if (record.epoch < epoch) expect(Math.min(ab, ba), `epoch ${record.epoch}`).toBeGreaterThan(0);
    if (record.epoch > epoch) expect(ab + ba, `epoch ${record.epoch}`).toBe(0);
  }
}

function expectRecover(demo: DemoRun): void {
  const { summary } = demo;
  expect(summary).toMatchObject({ members: ['node-a', 'node-b', 'node-c'], denied: [], leaks: 0 });
  const epoch = changeOf(summary, 'node-c', true);
  for (const record of wholeEpochs(demo)) {
    const [ac, ca] = answered(record.packets, 'node-a', 'node-c');
    if (record.epoch < epoch) expect(ac + ca, `epoch ${record.epoch}`).toBe(0);
    if (record.epoch > epoch) expect(Math.min(ac, ca), `epoch ${record.epoch}`).toBeGreaterThan(0);
  }
}

async function finished(demo: DemoRun): Promise<DemoRun> {
  const code = await demo.ended;
  expect(demo.stderr).toBe('');
  expect(code).toBe(0);
  return demo;
}

/** Ends it when the verdict of a node has changed and the epoch after that one is over, however long that takes. */
async function changed(demo: DemoRun, node: string, allowed: boolean): Promise<DemoRun> {
  const isChange = (one: DemoEvent) =>
    one.event === 'verdict' &&
    one.node === node &&
    one.allowed === allowed &&
    one.was_member !== allowed;
  try {
    const { epoch } = await demo.event(isChange, 100_000);
    const last = (epoch as number) + 2;
    await demo.event((one) => one.event === 'epoch' && (one.epoch as number) >= last, 100_000);
  } finally {
    process.kill(await demo.pid(), 'SIGINT');
    await demo.ended;
  }
  expect(demo.stderr).toBe('');
  return demo;
}

const STEADY = ['--epoch', '5', '--duration', '45'];
const CHANGE = ['--epoch', '5', '--scenario'];
const decays = async (...more: string[]) =>
  expectDecay(await changed(new DemoRun([...CHANGE, 'decay', ...more]), 'node-b', false));
const recovers = async (...more: string[]) =>
  expectRecover(await changed(new DemoRun([...CHANGE, 'recover', ...more]), 'node-c', true));

/** Where there are interfaces, the tests with interfaces run the userspace demo beside theirs. */
const alone: typeof test = withInterfaces ? ((() => {}) as unknown as typeof test) : test;

describe('in userspace mode', () => {
  alone('a and b talk in every epoch; nothing passes to or from c', async () => {
    const demo = new DemoRun([...STEADY, '--userspace']);
    const pid = await demo.pid();
    expectSteady(await finished(demo), 'userspace');
    expect(leftovers(pid)).toEqual([]);
  });

  alone('who sinks is shut out, who recovers is let in', async () => {
    await Promise.all([decays('--userspace'), recovers('--userspace')]);
  });

  test('the first verdict explains itself, and the real clock behaves the same', async () => {
    const demo = new DemoRun(['--epoch', '60', '--userspace']);
    const pid = await demo.pid();
    const waits = await demo.event((event) => event.event === 'verdict');
    expect(waits.explanation).toMatch(/no score yet/i);
    await demo.event(({ event }) => event === 'score');
    demo.kill('SIGINT');
    await demo.ended;
    expect(demo.summary.event).toBe('summary');
    expect(leftovers(pid)).toEqual([]);
  });
});

// Where both modes can be had they run beside each other, which is a test of its own.
inNamespaces('with real interfaces, and in userspace mode beside it', () => {
  test('a and b talk in every epoch; nothing passes to or from c; TCP tells the same', async () => {
    const demo = new DemoRun(STEADY);
    const userspace = new DemoRun([...STEADY, '--userspace']);
    const second = new DemoRun(['--epoch', '5', '--duration', '20']);
    const pid = await demo.pid();
    await demo.event(({ event, ok }) => event === 'probe' && ok === true);
    const namespace = (node: string) => `meshnet-${pid}-${node}`;
    expect(await tcp(namespace('node-a'), namespace('node-b'), '10.10.0.3')).toBe('hello\n');
    expect(await tcp(namespace('node-b'), namespace('node-a'), '10.10.0.2')).toBe('hello\n');
    expect(await tcp(namespace('node-a'), namespace('node-c'), '10.10.0.4')).toBe('timeout');
    expect(await tcp(namespace('node-c'), namespace('node-a'), '10.10.0.2')).toBe('timeout');
    // What came out of c's tunnel into its kernel, ever.
    const received = '/sys/class/net/mesh0/statistics/rx_packets';
    const read = ['netns', 'exec', namespace('node-c'), 'cat', received];
    expect(execFileSync('ip', read, { encoding: 'utf8' })).toBe('0\n');
    expect((await finished(second)).summary).toMatchObject({
      members: ['node-a', 'node-b'],
      leaks: 0,
    });
    expectSteady(await finished(demo), 'linux');
    expectSteady(await finished(userspace), 'userspace');
    for (const one of [demo, userspace, second]) expect(leftovers(await one.pid())).toEqual([]);
  });

  test('a node whose score sinks is shut out, one that recovers is let in', async () => {
    await Promise.all([decays(), decays('--userspace'), recovers(), recovers('--userspace')]);
  });

  test.each(['SIGINT', 'SIGTERM'] as const)('%s leaves nothing behind', async (signal) => {
    const demo = new DemoRun(['--epoch', '5']);
    const pid = await demo.pid();
    await demo.event(({ event, from }) => event === 'started' && from === 'node-c');
    demo.kill(signal); // npm then ends by the signal itself, so its status says nothing
    await demo.ended;
    expect(demo.summary.event).toBe('summary');
    expect(leftovers(pid)).toEqual([]);
  });

  test('a demo that nobody reads any more ends and leaves nothing behind', async () => {
    const demo = new DemoRun(['--epoch', '5']);
    const pid = await demo.pid();
    await demo.event(({ event, from }) => event === 'started' && from === 'node-c');
    demo.process.stdout!.destroy();
    await demo.ended;
    expect(demo.stderr).toBe('');
    expect(leftovers(pid)).toEqual([]);
  });

  test('a demo that is killed leaves nothing behind either', async () => {
    const demo = new DemoRun(['--epoch', '5']);
    const pid = await demo.pid();
    await demo.event(({ event, from }) => event === 'started' && from === 'node-c');
    process.kill(pid, 'SIGKILL');
    await expect.poll(() => leftovers(pid), { timeout: 20_000, interval: 500 }).toEqual([]);
  });

  test.each(['controller', 'node-b'])(
    'when %s crashes the demo says so and cleans up',
    async (part) => {
      const demo = new DemoRun(['--epoch', '5']);
      const pid = await demo.pid();
      await demo.event(({ event, from }) => event === 'started' && from === 'node-c');
      process.kill((await demo.parts()).get(part)!, 'SIGKILL');
      expect(await demo.ended).toBe(1);
      expect(demo.stderr).toContain(part);
      expect(demo.stderr).toContain('SIGKILL');
      expect(leftovers(pid)).toEqual([]);
    },
  );
});

/** A plain TCP client and server in two namespaces: what the client read, or `timeout`. */
async function tcp(client: string, server: string, address: string): Promise<string> {
  const serve = `require('net').createServer((s) => s.end('hello\\n')).listen(7000, () => console.log('up'))`;
  const ask = `const s = require('net').connect(7000, '${address}'); s.on('data', (d) => process.stdout.write(d)); s.on('error', (e) => process.stdout.write(e.code)); setTimeout(() => { process.stdout.write('timeout'); process.exit() }, 3000); s.on('close', () => process.exit())`;
  const inside = (name: string, script: string) => [
    'netns',
    'exec',
    name,
    process.execPath,
    '-e',
    script,
  ];
  const listening = spawn('ip', inside(server, serve), { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    await new Promise((up) => listening.stdout.once('data', up));
    const { stdout } = await run('ip', inside(client, ask));
    return stdout;
  } finally {
    listening.kill('SIGKILL');
  }
}
