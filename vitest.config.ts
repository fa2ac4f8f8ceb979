import { defineConfig } from 'vitest/config';

/**
 * unit    one file, no network but loopback, no root: seconds
 * system  real TUN devices, namespaces, processes, foreign implementations: one at a time
 * long    soaks, real-time rekeys, hundreds of kills
 */
export default defineConfig({
  test: {
    pool: 'forks', // a worker thread that blocks in poll(2) hangs the thread pool
    chaiConfig: { truncateThreshold: 2000 }, // a failure that is seen once must say what it saw
    // What another thread, process or kernel does is waited for until it is done; its test has the last word.
    expect: { poll: { timeout: 15_000, interval: 20 } },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/interop/**', 'test/e2e/**', '**/*.netns.test.ts', '**/*.long.test.ts'],
          maxWorkers: '100%', // they compute, and hardly ever wait
          testTimeout: 20_000,
          hookTimeout: 20_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'system',
          include: [
            'test/interop/**/*.test.ts',
            'test/e2e/**/*.test.ts',
            'test/**/*.netns.test.ts',
          ],
          exclude: ['**/*.long.test.ts'],
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'long',
          include: ['test/**/*.long.test.ts'],
          fileParallelism: false,
          testTimeout: 1_800_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
