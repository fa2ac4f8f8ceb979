/** One sample of a metric: its labels and its value. */
export type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

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
