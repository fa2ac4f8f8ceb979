import type { ProcessUsage } from '../ground/process-usage.ts';

/** One sample of a metric: its labels and its value. */
export type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

/** Upper bounds of what is counted apart, s: from a quick disk to one that hangs. */
const BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10] as const;

/** How often something took how long. */
export class Histogram {
  /** For each bound, and beyond the last. */
  readonly counts: number[] = new Array(BUCKETS.length + 1).fill(0);
  /** s. */
  sum = 0;

  observe(seconds: number): void {
    const bucket = BUCKETS.findIndex((bound) => seconds <= bound);
    this.counts[bucket < 0 ? BUCKETS.length : bucket]!++;
    this.sum += seconds;
  }
}

/** Collects metrics and writes them in the Prometheus text format, version 0.0.4. */
export class MetricsText {
  private readonly lines: string[] = [];

  /** `samples`: a plain number is a metric without labels. */
  add(
    name: string,
    type: 'gauge' | 'counter',
    help: string,
    samples: number | readonly Sample[],
  ): void {
    this.lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
    const list: readonly Sample[] = typeof samples === 'number' ? [[{}, samples]] : samples;
    for (const [labels, value] of list) this.lines.push(`${name}${labelText(labels)} ${value}`);
  }

  /** `name` ends in `_seconds`. */
  histogram(name: string, help: string, { counts, sum }: Histogram): void {
    this.lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} histogram`);
    let count = 0;
    for (const [i, within] of counts.entries()) {
      count += within;
      this.lines.push(`${name}_bucket{le="${BUCKETS[i] ?? '+Inf'}"} ${count}`);
    }
    this.lines.push(`${name}_sum ${sum}`, `${name}_count ${count}`);
  }

  /** What every program says of itself; `prefix`: of the name of its build information. */
  addProcess(prefix: string, version: string, usage: ProcessUsage): void {
    const build = { version, node: process.version };
    this.add(`${prefix}_build_info`, 'gauge', 'Which version runs.', [[build, 1]]);
    const { cpuS, residentBytes, startedAt, openDescriptors } = usage;
    this.add('process_cpu_seconds_total', 'counter', 'User and system CPU time.', cpuS);
    this.add('process_resident_memory_bytes', 'gauge', 'Resident memory.', residentBytes);
    this.add('process_start_time_seconds', 'gauge', 'Start of the process, Unix time.', startedAt);
    if (openDescriptors === undefined) return;
    this.add('process_open_fds', 'gauge', 'Open file descriptors.', openDescriptors);
  }

  /** A sample for each of `items` that has a value. */
  each<T>(
    name: string,
    type: 'gauge' | 'counter',
    help: string,
    items: readonly T[],
    labels: (item: T) => Readonly<Record<string, string>>,
    value: (item: T) => number | null,
  ): void {
    const samples = items.flatMap((item): Sample[] => {
      const found = value(item);
      return found === null ? [] : [[labels(item), found]];
    });
    this.add(name, type, help, samples);
  }

  toString(): string {
    return `${this.lines.join('\n')}\n`;
  }
}

export const METRICS_MEDIA_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

function labelText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(
    ([name, value]) => `${name}="${value.replace(/[\\"\n]/g, '_')}"`,
  );
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}
