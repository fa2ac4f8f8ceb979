import { once } from 'node:events';
import { availableParallelism, cpus } from 'node:os';
import { Worker } from 'node:worker_threads';
import { selectTransport } from '../../src/crypto/transport-select.ts';
import { describeMachine, loadNow } from '../../test/lab/machine.ts';
import { type ThreadUsage, threadUsage } from '../../test/lab/process-usage.ts';
import { processorFacts, processorTicks, siblings } from '../../test/lab/processors.ts';
import { quantile } from '../../test/lab/statistics.ts';
import { type ExplainSetup, WORD } from './explain-setup.ts';
import { meshtun } from './implementations.ts';
import { tcp } from './traffic.ts';
import { Tunnel } from './tunnel.ts';

/**
 * npm run bench -- explain: what this machine gives a tunnel, by counters that anybody can read, and as
 * root, what the threads of one at full rate wait for. It measures nothing beside another implementation.
 */

const SECONDS = 3;
const WAKE_UPS = 300;
/** ms between two wake-ups, for a processor to fall asleep. */
const GAP = 4;

const print = (text: string): void => {
  console.log(text);
};
const percent = (share: number): string => `${(share * 100).toFixed(0)} %`;

interface Thread {
  readonly worker: Worker;
  readonly words: Int32Array;
}

/** Threads that are about to seal packets. */
async function threads(count: number, cipher: Omit<ExplainSetup, 'words'>): Promise<Thread[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const words = new Int32Array(new SharedArrayBuffer(16));
      const workerData: ExplainSetup = { words, ...cipher };
      const worker = new Worker(new URL('./explain-thread.ts', import.meta.url), { workerData });
      await once(worker, 'message');
      return { worker, words };
    }),
  );
}

function raise(words: Int32Array, word: number): void {
  Atomics.add(words, word, 1);
  Atomics.notify(words, word);
}

/** Median ns per packet of each thread, sealing at once. */
async function sealing(all: readonly Thread[]): Promise<number[]> {
  const results = all.map(({ worker }) => once(worker, 'message') as Promise<[number[]]>);
  for (const { words } of all) raise(words, WORD.start);
  return (await Promise.all(results)).map(([times]) => quantile(times, 0.5));
}

/** us from asking a sleeping thread until its answer woke this one. */
function wakeUps({ words }: Thread): number[] {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  return Array.from({ length: WAKE_UPS }, (_, i) => {
    Atomics.wait(pause, 0, 0, GAP);
    const before = performance.now();
    raise(words, WORD.ask);
    Atomics.wait(words, WORD.answer, i);
    return (performance.now() - before) * 1000;
  });
}

async function finish(all: readonly Thread[]): Promise<void> {
  const ended = all.map(({ worker }) => once(worker, 'exit'));
  for (const { words } of all) {
    raise(words, WORD.end);
    raise(words, WORD.ask);
  }
  await Promise.all(ended);
}

async function processors(): Promise<void> {
  const { cpu, cores, virtualization, kernel } = describeMachine();
  print(
    `${cpu}, ${cores} processors (${availableParallelism()} for this process), Linux ${kernel}`,
  );
  print(`virtualization: ${virtualization}; load average ${loadNow()}`);
  for (const [name, value] of Object.entries(processorFacts())) print(`${name}: ${value}`);
  const shared = siblings(cpus().length);
  print(
    shared.length > 0
      ? `processors that are two threads of one core: ${shared.join(' ')}. Two busy threads share its units`
      : 'no two processors are said to be threads of one core (a virtual machine may hide it; see below)',
  );
}

async function cipher(): Promise<void> {
  const { name, module } = selectTransport({ log: print });
  if (module === undefined || (name !== 'wasm-simd' && name !== 'wasm-simd-revec')) {
    print(`cipher: ${name}, without the WebAssembly kernel; everything waits for it`);
    return;
  }
  const one = await threads(1, { variant: name, module });
  const before = processorTicks();
  const [alone = Number.NaN] = await sealing(one);
  const two = await threads(2, { variant: name, module });
  const together = Math.max(...(await sealing(two)));
  const { busy, idle, stolen } = processorTicks();
  const all = busy - before.busy + (idle - before.idle) + (stolen - before.stolen);
  print(
    `cipher: ${name}, 1,420 bytes in ${alone.toFixed(0)} ns alone, ${together.toFixed(0)} ns in two threads at once`,
  );
  const slowdown = together / alone;
  if (slowdown > 1.25) {
    print(
      `  ${slowdown.toFixed(2)} times as long: the two share a core, a quota, or the machine with others`,
    );
  }
  print(`given to other machines meanwhile (steal): ${percent((stolen - before.stolen) / all)}`);
  const times = wakeUps(one[0]!);
  const [p50, p99] = [quantile(times, 0.5), quantile(times, 0.99)];
  print(
    `a sleeping thread asked and answering: p50 ${p50.toFixed(0)} us, p99 ${p99.toFixed(0)} us`,
  );
  print(
    '  these are two wake-ups; an idle round trip through a tunnel has four, of one thread after the other',
  );
  await finish([...one, ...two]);
}

/** What the threads of both ends did in a time, per second of it. */
function difference(
  before: readonly ThreadUsage[],
  after: readonly ThreadUsage[],
  seconds: number,
) {
  return after.flatMap((now) => {
    const then = before.find(({ id }) => id === now.id);
    if (then === undefined) return [];
    const running = (now.running - then.running) / seconds;
    if (running < 0.005) return [];
    return {
      thread: now.name,
      running: percent(running),
      'in the kernel': percent((now.system - then.system) / seconds),
      'waits for a processor': percent((now.waiting - then.waiting) / seconds),
      'sleeps, per s': ((now.sleeps - then.sleeps) / seconds).toFixed(0),
      'is preempted, per s': ((now.preemptions - then.preemptions) / seconds).toFixed(0),
    };
  });
}

async function tunnel(): Promise<void> {
  if (process.getuid?.() !== 0) {
    print('as root this also shows what the threads of a tunnel wait for');
    return;
  }
  const ours = meshtun();
  const path = await Tunnel.open([ours, ours]);
  try {
    await tcp(path.left, path.right, 1, { streams: 1 });
    const usage = () => path.processes.flatMap(threadUsage);
    const before = usage();
    const started = performance.now();
    const { bytes, seconds } = await tcp(path.left, path.right, SECONDS, { streams: 1 });
    const rows = difference(before, usage(), (performance.now() - started) / 1000);
    print(
      `one TCP stream through a tunnel: ${((bytes * 8) / seconds / 1e9).toFixed(2)} Gbit/s; its threads, sender's end first:`,
    );
    console.table(rows);
    print(
      'a thread that waits for a processor, or is preempted, has competition; one that sleeps often is fed in small pieces',
    );
  } finally {
    await path.close();
  }
}

await processors();
await cipher();
await tunnel();
