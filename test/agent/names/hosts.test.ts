import { chmodSync, lstatSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../../src/agent/clock.ts';
import { Counters } from '../../../src/agent/counters.ts';
import type { AgentEvent } from '../../../src/agent/events.ts';
import { MAX_NAMES, withNames } from '../../../src/agent/names/hosts-block.ts';
import { keepNames } from '../../../src/agent/names/keep-names.ts';
import { temporaryDirectory } from '../support/rig.ts';

const OTHERS = '127.0.0.1 localhost\n192.0.2.9 printer # of ours\n';
const names = (...pairs: [string, string][]) => new Map(pairs);

test('names stand in a block at the end, which goes without a trace', () => {
  const one = withNames(OTHERS, names(['node-a', '10.10.0.2'], ['node-b', '10.10.0.3']));
  expect(one).toMatch(
    /^127.*\n192.*\n# BEGIN aligned-meshnet.*\n10\.10\.0\.2 node-a\.mesh\n10\.10\.0\.3 node-b\.mesh\n# END aligned-meshnet\n$/,
  );
  const two = withNames(one, names(['node-b', '10.10.0.3']));
  expect(two).not.toContain('node-a');
  expect(withNames(two, names())).toBe(OTHERS);
});

test('a block whose end was lost takes nothing else with it', () => {
  const block = withNames('', names(['node-a', '10.10.0.2'])).replace(/# END.*\n/, '');
  expect(withNames(`${block}${OTHERS}`, names())).toBe(OTHERS);
});

test('hostile names and addresses get nothing into the file', () => {
  const hostile = names(
    ['a\n6.6.6.6 bank.example', '10.10.0.2'],
    ['a b', '10.10.0.3'],
    ['UPPER', '10.10.0.4'],
    ['b', '10.10.0.5\n6.6.6.6 bank.example'],
    ['c', '::1'],
    ['good', '10.10.0.6'],
  );
  const text = withNames(OTHERS, hostile);
  expect(text.split('\n').filter((line) => line.includes('mesh') && !line.startsWith('#'))).toEqual(
    ['10.10.0.6 good.mesh'],
  );
  expect(text).not.toContain('6.6.6.6');
});

test('whatever stood there stays, whatever it is, and the block is bounded', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (before) => {
      const text = before.replaceAll('aligned-meshnet', '');
      const written = withNames(text, names(['a', '10.10.0.2']));
      const gap = text === '' || text.endsWith('\n') ? '' : '\n';
      expect(withNames(written, names())).toBe(text + gap);
    }),
  );
  const many = new Map(Array.from({ length: MAX_NAMES + 9 }, (_, i) => [`n${i}`, '10.10.0.2']));
  expect(withNames('', many).split('\n').length).toBe(MAX_NAMES + 3);
});

let directory: ReturnType<typeof temporaryDirectory>;
let hosts: string;
beforeEach(() => {
  directory = temporaryDirectory();
  hosts = join(directory.path, 'hosts');
  writeFileSync(hosts, OTHERS);
  chmodSync(hosts, 0o644);
});
afterEach(() => directory.remove());

/** Keeps names in `path` until it is stopped. */
function keep(path: string, members: Map<string, string>) {
  const events: AgentEvent[] = [];
  const stop = new AbortController();
  const running = keepNames(
    { hosts: path },
    {
      tunnelAddress: '10.10.0.1',
      names: () => members,
      clock: { ...systemClock, sleep: (_, signal) => systemClock.sleep(10, signal) },
      counters: new Counters(),
      emit: (event) => void events.push(event),
    },
    stop.signal,
  );
  const end = () => {
    stop.abort();
    return running;
  };
  return { events, end };
}

test('the file follows the members, keeps its mode under any umask and its link, and is clean in the end', async () => {
  const link = join(directory.path, 'link');
  symlinkSync(hosts, link);
  const umask = process.umask(0o077);
  try {
    const members = names(['a', '10.10.0.1']);
    const { events, end } = keep(link, members);
    const text = () => readFileSync(hosts, 'utf8');
    await expect.poll(text).toContain('10.10.0.1 a.mesh');
    members.set('b', '10.10.0.2');
    await expect.poll(text).toContain('10.10.0.2 b.mesh');
    members.delete('b');
    await expect.poll(text).not.toContain('b.mesh');
    expect(statSync(hosts).mode & 0o777).toBe(0o644);
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    await end();
    expect(text()).toBe(OTHERS);
    expect(events).toEqual([]);
  } finally {
    process.umask(umask);
  }
});

test('a file that cannot be written is told of once, and again when it can', async () => {
  const path = join(directory.path, 'absent');
  const { events, end } = keep(path, names(['a', '10.10.0.1']));
  await expect.poll(() => events.length).toBe(1);
  writeFileSync(path, OTHERS);
  await expect.poll(() => events.length).toBe(2);
  expect(events).toMatchObject([
    { event: 'file', ok: false },
    { event: 'file', ok: true },
  ]);
  await end();
  expect(readFileSync(path, 'utf8')).toBe(OTHERS);
});
