import type { EpochDocument } from '../contract/epoch.ts';

/** What the controller counts besides the epoch. */
export interface ControllerCounters {
  readonly streams: number;
  readonly acceptedBenchmarks: number;
  /** Answered problems by code. */
  readonly problems: ReadonlyMap<string, number>;
  readonly ready: boolean;
}

/** The Prometheus text format (version 0.0.4). */
export function controllerMetrics(epoch: EpochDocument, counters: ControllerCounters): string {
  const lines: string[] = [];
  const metric = (
    name: string,
    type: 'gauge' | 'counter',
    help: string,
    samples: readonly (readonly [labels: string, value: number])[],
  ): void => {
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
    for (const [labels, value] of samples) lines.push(`${name}${labels} ${value}`);
  };
  const perNode = (value: (node: EpochDocument['nodes'][number]) => number | null) =>
    epoch.nodes.flatMap((node): [string, number][] => {
      const found = value(node);
      return found === null ? [] : [[`{node="${node.node_id}"}`, found]];
    });
  metric('meshnet_controller_ready', 'gauge', 'Whether epochs are being decided.', [
    ['', counters.ready ? 1 : 0],
  ]);
  metric('meshnet_epoch', 'gauge', 'Epoch in force.', [['', epoch.epoch]]);
  metric('meshnet_members', 'gauge', 'Members of the epoch.', [
    ['', epoch.nodes.filter((node) => node.allowed).length],
  ]);
  metric('meshnet_nodes', 'gauge', 'Enrolled nodes.', [['', epoch.nodes.length]]);
  metric('meshnet_rotations_total', 'counter', 'Epochs committed since the start.', [
    ['', epoch.rotations],
  ]);
  metric('meshnet_exclusions_total', 'counter', 'Members that lost their membership.', [
    ['', epoch.exclusions],
  ]);
  metric('meshnet_streams', 'gauge', 'Nodes that receive pushes.', [['', counters.streams]]);
  metric('meshnet_benchmarks_accepted_total', 'counter', 'Scores taken.', [
    ['', counters.acceptedBenchmarks],
  ]);
  metric(
    'meshnet_problems_total',
    'counter',
    'Requests answered with a problem.',
    [...counters.problems].map(([code, count]) => [`{code="${code}"}`, count]),
  );
  metric(
    'meshnet_node_allowed',
    'gauge',
    '1 for members.',
    perNode((node) => (node.allowed ? 1 : 0)),
  );
  metric(
    'meshnet_node_score',
    'gauge',
    'Lowest score of the required suites.',
    perNode((node) => node.score),
  );
  metric(
    'meshnet_node_score_age_seconds',
    'gauge',
    'Age of the oldest of them.',
    perNode((node) => node.age_s),
  );
  return `${lines.join('\n')}\n`;
}
