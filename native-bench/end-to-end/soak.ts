import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describeMachine, loadNow } from '../../test/lab/machine.ts';
import { openDescriptors, residentMemory } from '../../test/lab/process-usage.ts';
import { writeReport } from '../report/write.ts';
import { pause } from './commands.ts';
import { meshtun } from './implementations.ts';
import type { Isolate, SoakResults, SoakSample } from './soak-results.ts';
import { tcp } from './traffic.ts';
import { Tunnel } from './tunnel.ts';

/**
 * Does anything grow at full rate? A pair of ours carries TCP both ways for a minute, on a Node
 * that reports every garbage collection of every isolate (control and the two data workers), while
 * resident memory and open descriptors are read.
 *
 *     node native-bench/end-to-end/soak.ts [SECONDS]
 */

const SECONDS = Number(process.argv[2] ?? 60);
const SAMPLE_INTERVAL = 5000;
const OUTPUT = resolve(import.meta.dirname, '../results/soak.json');

/** A `node` that reports collections; V8 takes this option on the command line only. */
function reportingNode(folder: string): string {
  const file = join(folder, 'node');
  const node = `'${process.execPath}'`;
  writeFileSync(
    file,
    `#!/bin/sh\n[ "$1" = --version ] && exec ${node} --version\nexec ${node} --trace-gc "$@"\n`,
  );
  chmodSync(file, 0o755);
  return file;
}

/** `[PID:ISOLATE] MS ms: Scavenge A (B) -> C (D) MB, ...`, MS since the isolate began. */
const COLLECTION = /^\[\d+:(0x[0-9a-f]+)[^\]]*\]\s+(\d+) ms: .*? -> ([\d.]+) \(/gm;

function isolatesIn(output: string, from: number, to: number): Isolate[] {
  const found = new Map<string, Isolate>();
  for (const [, isolate, at, after] of output.matchAll(COLLECTION)) {
    if (Number(at) < from || Number(at) > to) continue;
    const mb = Number(after);
    const known = found.get(isolate!);
    if (known === undefined) found.set(isolate!, { collections: 1, firstMb: mb, lastMb: mb });
    else {
      known.collections++;
      known.lastMb = mb;
    }
  }
  return [...found.values()];
}

const folder = mkdtempSync(join(tmpdir(), 'soak-'));
try {
  const base = meshtun();
  const environment = { ...base.environment, MESHNET_NODE: reportingNode(folder) };
  const implementation = { ...base, environment };
  const startedAt = new Date();
  const tunnel = await Tunnel.open([implementation, implementation]);
  let gigabytes = 0;
  const samples: SoakSample[] = [];
  const load = loadNow();
  let from = 0;
  let to = 0;
  try {
    // The first seconds compile code and fill caches.
    await tcp(tunnel.left, tunnel.right, 5, { streams: 2, bothWays: true });
    from = performance.now();
    const traffic = tcp(tunnel.left, tunnel.right, SECONDS, { streams: 2, bothWays: true });
    let running = true;
    void traffic.finally(() => {
      running = false;
    });
    while (running) {
      samples.push({
        seconds: Math.round((performance.now() - from) / 1000),
        residentMb: tunnel.processes.map((pid) => Number(residentMemory(pid).now.toFixed(1))),
        descriptors: tunnel.processes.map(openDescriptors),
      });
      process.stderr.write(`${JSON.stringify(samples.at(-1))}\n`);
      await Promise.race([pause(SAMPLE_INTERVAL), traffic]);
    }
    gigabytes = (await traffic).bytes / 1e9;
    to = performance.now();
  } finally {
    await tunnel.close();
  }
  const results: SoakResults = {
    startedAt: startedAt.toISOString(),
    machine: describeMachine(),
    load,
    seconds: SECONDS,
    gigabytes: Number(gigabytes.toFixed(2)),
    samples,
    isolates: tunnel.ends.map((end) =>
      isolatesIn(end.output, from - end.startedAt, to - end.startedAt),
    ),
  };
  mkdirSync(resolve(OUTPUT, '..'), { recursive: true });
  writeFileSync(OUTPUT, `${JSON.stringify(results, undefined, 1)}\n`);
  writeReport();
  process.stdout.write(`${JSON.stringify({ gigabytes, isolates: results.isolates })}\n`);
} finally {
  rmSync(folder, { recursive: true });
}
