import { mkdirSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { describeMachine, loadNow, waitUntilCalm } from '../../test/lab/machine.ts';
import { median } from '../../test/lab/statistics.ts';
import { writeReport } from '../report/write.ts';
import { pause } from './commands.ts';
import { further, type Implementation, implementations } from './implementations.ts';
import { footprint, MEASURES, type Measure, type Values } from './measures.ts';
import { type Failure, type Results, ratiosOf, type Sample, valuesOf } from './results.ts';
import { tcp } from './traffic.ts';
import { barePath, type Path, Tunnel } from './tunnel.ts';

/**
 * Tunnels side by side: all of them are up at the same time, each in namespaces of its own, and
 * every measure goes over them one right after the other, in another order each round. So whatever
 * else the machine does, or how warm it is, touches all of them, and ratios within a round mean
 * something where absolute numbers do not. What users feel of an idle tunnel is measured with no
 * other one up: their work keeps the processors awake and the caches of ours cold.
 */

const USAGE = `Usage: npm run bench -- native [options]
  --rounds N        rounds (5)
  --seconds S       length of each run (3)
  --only A,B        these measures only: ${MEASURES.map(({ name }) => name).join(', ')}
  --paths A,B       these paths only: none, wireguard-go, meshtun, boringtun,
                    meshtun-to-wireguard-go, wireguard-go-to-meshtun
  --also NAME=PATH  a further implementation, called as wg-quick calls it (PATH -f INTERFACE):
                    another version of ours, say
  --wait-calm       before each round, wait until the load average is below 0.7 (at most 10 minutes)
  --rest S          after each measure, leave the machine alone for that long (0)
  --output FILE     where the results go (native-bench/results/end-to-end.json)
`;

const CALM_LOAD = 0.7;
const CALM_MINUTES = 10;
const WARM_UP_SECONDS = 1;

const DEFAULT_OUTPUT = resolve(import.meta.dirname, '../results/end-to-end.json');

interface Options {
  readonly rounds: number;
  readonly seconds: number;
  readonly only: readonly string[] | undefined;
  readonly paths: readonly string[] | undefined;
  readonly also: readonly Implementation[];
  readonly rest: number;
  readonly waitCalm: boolean;
  readonly output: string;
}

function parseOptions(): Options {
  const { values } = parseArgs({
    options: {
      rest: { type: 'string', default: '0' },
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '3' },
      only: { type: 'string' },
      paths: { type: 'string' },
      also: { type: 'string', multiple: true, default: [] },
      'wait-calm': { type: 'boolean', default: false },
      output: { type: 'string', default: DEFAULT_OUTPUT },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    process.exit(0);
  }
  const only = values.only?.split(',');
  const unknown = only?.filter((wanted) => !MEASURES.some(({ name }) => name === wanted)) ?? [];
  if (unknown.length > 0) throw new Error(`no such measure: ${unknown.join(', ')}`);
  return {
    rounds: positive('rounds', values.rounds),
    seconds: positive('seconds', values.seconds),
    rest: Number(values.rest),
    only,
    paths: values.paths?.split(','),
    also: values.also.map(further),
    waitCalm: values['wait-calm'],
    output: values.output,
  };
}

function positive(name: string, text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) throw new Error(`--${name} is no positive integer`);
  return number;
}

type Between = readonly [Implementation, Implementation];

function tunnelsToMeasure(
  all: ReturnType<typeof implementations>,
  also: readonly Implementation[],
): Map<string, Between> {
  const { meshtun, wireguardGo, boringtun } = all;
  const tunnels = new Map<string, Between>([
    ['wireguard-go', [wireguardGo, wireguardGo]],
    ['meshtun', [meshtun, meshtun]],
    ['meshtun-to-wireguard-go', [meshtun, wireguardGo]],
    ['wireguard-go-to-meshtun', [wireguardGo, meshtun]],
  ]);
  if (boringtun !== undefined) tunnels.set('boringtun', [boringtun, boringtun]);
  for (const one of also) tunnels.set(one.name, [one, one]);
  return tunnels;
}

const progress = (text: string) => process.stderr.write(text);

class Run {
  readonly samples: Sample[] = [];
  readonly failures: Failure[] = [];
  private readonly options: Options;
  private readonly tunnels: ReadonlyMap<string, Between>;
  private readonly measures: readonly Measure[];

  constructor(options: Options, tunnels: ReadonlyMap<string, Between>) {
    const { only, paths } = options;
    this.options = options;
    const wanted = [...tunnels].filter(([name]) => paths?.includes(name) ?? true);
    this.tunnels = new Map(wanted);
    this.measures = MEASURES.filter(({ name }) => only?.includes(name) ?? true);
  }

  async round(round: number): Promise<void> {
    progress(`round ${round + 1} of ${this.options.rounds}, load ${loadNow()}\n`);
    const alone = this.measures.filter((measure) => measure.alone);
    if (alone.length < this.measures.length) await this.together(round);
    for (const [name, between] of turned([...this.tunnels], round)) {
      const measures = alone.filter(({ mixed }) => mixed || between[0] === between[1]);
      if (measures.length === 0) continue;
      const tunnel = await Tunnel.open(between);
      try {
        await tcp(tunnel.left, tunnel.right, WARM_UP_SECONDS, { streams: 1 });
        for (const measure of measures) await this.measure(round, measure, name, tunnel);
      } finally {
        await tunnel.close();
      }
    }
  }

  private async together(round: number): Promise<void> {
    const paths = new Map<string, Path>();
    try {
      if (this.options.paths?.includes('none') ?? true) paths.set('none', barePath());
      for (const [name, between] of turned([...this.tunnels], round)) {
        const tunnel = await Tunnel.open(between);
        paths.set(name, tunnel);
        if (between[0] === between[1]) {
          const startUps = tunnel.ends.map(({ startUp }) => startUp);
          this.record(round, 'start-up', name, { ms: median(startUps) });
        }
      }
      for (const { left, right } of paths.values()) {
        await tcp(left, right, WARM_UP_SECONDS, { streams: 1 });
      }
      let turn = round;
      for (const measure of this.measures.filter(({ alone }) => !alone)) {
        for (const [name, path] of turned([...paths], turn++)) {
          if (!measure.mixed && name.includes('-to-')) continue;
          await this.measure(round, measure, name, path);
        }
        await pause(this.options.rest * 1000);
      }
      for (const [name, path] of paths) {
        if (path.processes.length > 0 && !name.includes('-to-')) {
          this.record(round, 'footprint', name, footprint(path));
        }
      }
    } finally {
      for (const path of paths.values()) await path.close();
    }
  }

  private async measure(round: number, measure: Measure, name: string, path: Path): Promise<void> {
    const load = loadNow();
    try {
      this.record(round, measure.name, name, await measure.run(path, this.options.seconds), load);
    } catch (error) {
      const { message } = error as Error;
      this.failures.push({ round, measure: measure.name, path: name, message });
      progress(`  ${measure.name} ${name}: ${message}\n`);
    }
  }

  private record(
    round: number,
    measure: string,
    path: string,
    values: Values,
    load = loadNow(),
  ): void {
    const rounded = Object.fromEntries(
      Object.entries(values).map(([metric, value]) => [metric, Number(value.toPrecision(5))]),
    );
    this.samples.push({ round, measure, path, load, values: rounded });
    progress(`  ${measure.padEnd(14)} ${path.padEnd(24)} ${JSON.stringify(rounded)}\n`);
  }
}

/** The list, begun elsewhere. */
function turned<T>(list: readonly T[], by: number): T[] {
  const start = by % Math.max(1, list.length);
  return [...list.slice(start), ...list.slice(0, start)];
}

function printRatios(results: Results): void {
  const keys = new Set(
    results.samples.flatMap(({ measure, values }) =>
      Object.keys(values).map((metric) => `${measure} ${metric}`),
    ),
  );
  const rows = [...keys].map((key) => {
    const [measure, metric] = key.split(' ') as [string, string];
    const row: Record<string, string> = { measure, metric };
    for (const path of ['none', ...Object.keys(results.versions)]) {
      const values = [...valuesOf(results, measure, path, metric).values()];
      const ratios = ratiosOf(results, measure, path, metric);
      if (values.length === 0) continue;
      const ratio = ratios.length === 0 ? '' : ` (${median(ratios).toFixed(2)})`;
      row[path] = `${Number(median(values).toPrecision(3))}${ratio}`;
    }
    return row;
  });
  console.table(rows);
}

async function main(): Promise<void> {
  const options = parseOptions();
  if (process.getuid?.() !== 0) throw new Error('needs root: it makes network namespaces');
  const all = implementations();
  for (const line of all.skipped) progress(`skipped: ${line}\n`);
  const tunnels = tunnelsToMeasure(all, options.also);
  const run = new Run(options, tunnels);
  const startedAt = new Date();
  for (let round = 0; round < options.rounds; round++) {
    if (options.waitCalm && !(await waitUntilCalm(CALM_LOAD, CALM_MINUTES))) {
      progress(`the machine does not calm down: load ${loadNow()}\n`);
    }
    await run.round(round);
  }
  const results: Results = {
    startedAt: startedAt.toISOString(),
    minutes: Number(((Date.now() - startedAt.getTime()) / 60_000).toFixed(1)),
    machine: describeMachine(),
    versions: Object.fromEntries(
      [...tunnels].map(([name, [left, right]]) => [
        name,
        [...new Set([left, right])].map(({ version }) => version).join(', '),
      ]),
    ),
    skipped: all.skipped,
    rounds: options.rounds,
    seconds: options.seconds,
    samples: run.samples,
    failures: run.failures,
  };
  mkdirSync(resolve(options.output, '..'), { recursive: true });
  writeFileSync(options.output, `${JSON.stringify(results, undefined, 1)}\n`);
  printRatios(results);
  if (options.output === DEFAULT_OUTPUT) writeReport();
}

await main();
