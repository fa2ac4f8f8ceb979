import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { loadNow } from '../../test/lab/machine.ts';
import { cpuOfThreads, residentMemory } from '../../test/lab/process-usage.ts';
import { programOptions } from '../../test/lab/programs.ts';
import { summarise } from '../../test/lab/statistics.ts';
import { pause } from './commands.ts';
import { further, type Implementation, meshtun, QUIET } from './implementations.ts';
import { Link } from './link.ts';
import { TunnelEnd } from './tunnel.ts';

/**
 * npm run bench -- start [--rounds N] [--also NAME=PATH]: from the start of `meshtun` to the first answer
 * on its socket, of a checkout and of the published package, in turn. Time is the machine's as much as
 * ours; the CPU time until the answer, of the threads that then live, tells versions apart on a machine
 * that has other work, too. Memory is that of a tunnel without peers, a second later.
 */

const ROOT = resolve(import.meta.dirname, '../..');
const SETTLED = 1000;

interface Start {
  readonly ms: number;
  readonly cpuMs: number;
  readonly residentMb: number;
}

/** The package as npm would install it, in `folder`. */
function install(folder: string): Implementation {
  execFileSync(process.execPath, [join(ROOT, 'src/build.ts')], { stdio: 'inherit' });
  for (const name of ['bin', 'dist', 'package.json']) {
    cpSync(join(ROOT, name), join(folder, name), { recursive: true });
  }
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  const { version } = meshtun();
  return {
    name: 'package',
    version,
    command: (name) => [join(folder, 'bin/meshtun'), '-f', name],
    environment: QUIET,
  };
}

async function measure(implementation: Implementation, link: Link): Promise<Start> {
  const end = new TunnelEnd(implementation, link.left, '10.77.0.1');
  try {
    await end.ready();
    const cpuMs = cpuOfThreads(end.pid) * 1000;
    await pause(SETTLED);
    return { ms: end.startUp, cpuMs, residentMb: residentMemory(end.pid).now };
  } finally {
    await end.close();
  }
}

const { rounds, also } = programOptions({
  rounds: { type: 'string', default: '7' },
  also: { type: 'string', multiple: true, default: [] },
});
const folder = mkdtempSync(join(tmpdir(), 'start-'));
const link = new Link();
try {
  const all = [{ ...meshtun(), name: 'checkout' }, install(folder), ...also.map(further)];
  const starts = new Map<string, Start[]>(all.map(({ name }) => [name, []]));
  for (const one of all) await measure(one, link); // fills the compile cache
  const before = loadNow();
  for (let round = 0; round < Number(rounds); round++) {
    for (const one of round % 2 === 0 ? all : all.toReversed()) {
      starts.get(one.name)!.push(await measure(one, link));
    }
  }
  console.log(`load average ${before} before, ${loadNow()} after; median (lowest to highest)`);
  console.table(
    [...starts].map(([name, values]) => {
      const cell = (field: keyof Start) => {
        const { median, min, max } = summarise(values.map((value) => value[field]));
        return `${median.toFixed(0)} (${min.toFixed(0)} to ${max.toFixed(0)})`;
      };
      return { name, ms: cell('ms'), 'CPU ms': cell('cpuMs'), 'resident MB': cell('residentMb') };
    }),
  );
} finally {
  await link.close();
  rmSync(folder, { recursive: true });
}
