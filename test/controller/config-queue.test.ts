import { expect, test, vi } from 'vitest';
import { ConfigQueue } from '../../src/controller/config-queue.ts';

const always = () => true;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Has a queue make one config that takes 80 ms by its clock, whatever else runs here. */
async function teach(queue: ConfigQueue): Promise<void> {
  vi.useFakeTimers({ toFake: ['performance'] });
  try {
    await queue.add('first', always, async () => void vi.advanceTimersByTime(80));
  } finally {
    vi.useRealTimers();
  }
}

test('one at a time, in order, with room for other work between two', async () => {
  const queue = new ConfigQueue();
  const seen: string[] = [];
  const work = (name: string) => async () => {
    seen.push(`${name} begins`);
    await Promise.resolve();
    seen.push(`${name} ends`);
  };
  let turns = 0;
  const count = () => {
    turns++;
    if (turns < 10) setImmediate(count);
  };
  setImmediate(count);
  await Promise.all(['a', 'b', 'c'].map((name) => queue.add(name, always, work(name))));
  expect(seen).toEqual(['a', 'b', 'c'].flatMap((name) => [`${name} begins`, `${name} ends`]));
  expect(turns).toBeGreaterThanOrEqual(2);
});

test('nothing is done for who has gone meanwhile', async () => {
  const queue = new ConfigQueue();
  let isThere = true;
  const first = queue.add('node-a', always, () => pause(5));
  const second = queue.add(
    'other',
    () => isThere,
    async () => 'built',
  );
  isThere = false;
  await first;
  expect(await second).toBeUndefined();
});

test('who would wait too long is turned away at once, and the queue goes on', async () => {
  const queue = new ConfigQueue();
  // One that takes 80 ms teaches it an average of 10; 400 of those are 4 s.
  await teach(queue);
  const results = Array.from({ length: 1000 }, (_, i) =>
    queue.add(`node-${i}`, always, async () => 'built'),
  );
  const answers = await Promise.all(results);
  const built = answers.filter((one) => one === 'built').length;
  expect(built).toBeGreaterThan(100);
  expect(built).toBeLessThan(600);
  expect(await queue.add('node-c', always, async () => 'built')).toBe('built');
});

test('a build that fails fails alone', async () => {
  const queue = new ConfigQueue();
  const failed = queue.add('node-d', always, async () => {
    throw new Error('no');
  });
  const fine = queue.add('node-e', always, async () => 'built');
  await expect(failed).rejects.toThrow('no');
  expect(await fine).toBe('built');
});

test('who asks again and again has one place, and nobody else waits for it', async () => {
  const queue = new ConfigQueue();
  await teach(queue);
  let built = 0;
  const greedy = Array.from({ length: 1000 }, () =>
    queue.add('greedy', always, async () => {
      built++;
      return 'built';
    }),
  );
  const other = queue.add('other', always, async () => 'built');
  expect(await other).toBe('built');
  expect((await Promise.all(greedy)).filter((one) => one === 'built')).toHaveLength(1);
  expect(built).toBe(1);
});
