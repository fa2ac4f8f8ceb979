import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { requires } from '../../lab/requirements.ts';

const LIBRARY = resolve(import.meta.dirname, '../../../src/tunnel/create-tunnel.ts');
const OPEN = `
  import { createTunnel } from ${JSON.stringify(LIBRARY)};
  const tunnel = await createTunnel({ mode: 'userspace', privateKey: new Uint8Array(32).fill(1) });
`;

// A thread that waits in poll holds up the end of its process unless it is told.
requires('linux', 'node:ffi')('a program with a userspace tunnel', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'watch-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  async function exitCodeOf(program: string): Promise<unknown> {
    const file = join(folder, 'program.mjs');
    await writeFile(file, program);
    return new Promise((resolve) => {
      execFile(process.execPath, [file], (error) => resolve(error === null ? 0 : error.code));
    });
  }

  test.each([
    ['that it has closed ends by itself', 'await tunnel.close();', 0],
    ['ends by process.exit', 'process.exit(7);', 7],
    ['ends by an exception that nobody catches', 'throw new Error("mine");', 1],
  ])('%s', async (_what, end, code) => {
    expect(await exitCodeOf(`${OPEN} ${end}`)).toBe(code);
  });

  test('in a worker ends when that is terminated', async () => {
    const inWorker = join(folder, 'worker.mjs');
    const program = `${OPEN} import { parentPort } from 'node:worker_threads'; parentPort.postMessage(1);`;
    await writeFile(inWorker, program);
    const terminate = `
      import { once } from 'node:events';
      import { Worker } from 'node:worker_threads';
      const worker = new Worker(${JSON.stringify(inWorker)});
      await once(worker, 'message');
      await worker.terminate();
      process.exit(3);
    `;
    expect(await exitCodeOf(terminate)).toBe(3);
  });
});
