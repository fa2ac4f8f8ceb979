import { expect, test } from 'vitest';
import { threadUsage } from './process-usage.ts';
import { parseTicks } from './processors.ts';
import { requires } from './requirements.ts';

requires('linux')('what the system says of threads and processors', () => {
  test('a thread that has worked has run, and has its name', () => {
    const before = threadUsage(process.pid).find(({ id }) => id === process.pid)!;
    const end = performance.now() + 30;
    while (performance.now() < end);
    const after = threadUsage(process.pid).find(({ id }) => id === process.pid)!;
    expect(after.running).toBeGreaterThan(before.running);
    expect(after.name).not.toBe('');
    for (const value of Object.values(after).slice(2)) expect(value).toBeGreaterThanOrEqual(0);
  });

  test('ticks are taken from the line of all processors', () => {
    const stat = 'cpu  10 1 20 300 5 2 3 40 7 8\ncpu0 1 1 1 1 1 1 1 1 1 1\n';
    expect(parseTicks(stat)).toEqual({ busy: 36, idle: 305, stolen: 40 });
  });
});
