import { getCompileCacheDir } from 'node:module';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { WorkerSetup } from './messages.ts';

/**
 * Threads for data workers. A thread boots and loads its modules by itself, then waits for its setup
 * (`receiveSetup`); a program whose only purpose is a tunnel starts its threads before it loads the rest
 * of itself.
 */

const MODULES = ['outbound-worker', 'inbound-worker'] as const;
export type WorkerModule = (typeof MODULES)[number];

/** A thread that waits for its setup, and the word that ends the wait. */
export interface WaitingThread {
  readonly worker: Worker;
  readonly gate: SharedArrayBuffer;
}

const ahead: Record<WorkerModule, WaitingThread[]> = {
  'outbound-worker': [],
  'inbound-worker': [],
};

function boot(module: WorkerModule): WaitingThread {
  // Published builds have .js files, sources .ts: the neighbour has this module's own ending.
  const url = new URL(`./${module}${extname(import.meta.url)}`, import.meta.url);
  const gate = new SharedArrayBuffer(4);
  const worker = new Worker(url, {
    workerData: gate,
    name: `meshtun-${module}`,
    execArgv: [],
    env: workerEnvironment(),
  });
  return { worker, gate };
}

/**
 * Starts the threads of so many pairs of workers. Until they are taken they keep no process running.
 * Whatever kernel the workers will use is to be compiled before that (see `compileKernel`).
 */
export function startAhead(pairs: number): void {
  for (let pair = 0; pair < pairs; pair++) {
    for (const module of MODULES) {
      const thread = boot(module);
      thread.worker.unref();
      // One that fails is not taken: who starts the next hears why.
      thread.worker.on('error', () => {});
      thread.worker.once('exit', () => {
        ahead[module] = ahead[module].filter((other) => other !== thread);
      });
      ahead[module].push(thread);
    }
  }
}

/** A thread that was started ahead, or a new one. */
export function takeThread(module: WorkerModule): WaitingThread {
  const thread = ahead[module].pop();
  thread?.worker.ref();
  return thread ?? boot(module);
}

/** Sets a waiting thread to work. */
export function sendSetup({ worker, gate }: WaitingThread, setup: WorkerSetup): void {
  worker.postMessage(setup);
  const word = new Int32Array(gate);
  Atomics.store(word, 0, 1);
  Atomics.notify(word, 0);
}

/** A compile cache that main switched on serves the workers, too. */
function workerEnvironment(): NodeJS.ProcessEnv {
  const cache = getCompileCacheDir();
  return cache === undefined ? process.env : { ...process.env, NODE_COMPILE_CACHE: cache };
}
