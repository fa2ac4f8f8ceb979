import type { EpochDocument, EvaluatorStatus } from '../contract/epoch.ts';
import { MetricsText, type Sample } from '../contract/prometheus.ts';
import { processUsage } from '../ground/process-usage.ts';
import { version } from '../ground/version.ts';
import { eventMetrics } from './event-metrics.ts';
import type { WitnessProgress } from './record/cosigning.ts';
import type { Services } from './services.ts';

/** The controller's metrics as text for Prometheus. */
export async function controllerMetrics(services: Services): Promise<string> {
  const { governor, streams, counters } = services;
  const epoch = await services.documents.present();
  const { nodes } = epoch;
  const text = new MetricsText();
  text.addProcess('meshnet_controller', version(), processUsage());
  const ready = governor.notReady === undefined ? 1 : 0;
  text.add('meshnet_controller_ready', 'gauge', 'Whether epochs are being decided.', ready);
  text.add('meshnet_epoch', 'gauge', 'Epoch in force.', epoch.epoch);
  text.add(
    'meshnet_epoch_overdue_seconds',
    'gauge',
    'For how long it has been past its end.',
    Math.max(0, epoch.now - epoch.started_at - epoch.epoch_s * 1000) / 1000,
  );
  const members = nodes.filter((node) => node.allowed).length;
  text.add('meshnet_members', 'gauge', 'Members of the epoch.', members);
  text.add('meshnet_nodes', 'gauge', 'Enrolled nodes.', nodes.length);
  text.add(
    'meshnet_rotations_total',
    'counter',
    'Epochs committed since the start.',
    epoch.rotations,
  );
  text.add(
    'meshnet_exclusions_total',
    'counter',
    'Members that lost their membership.',
    epoch.exclusions,
  );
  const { brake } = epoch;
  const phase = brake === null ? 0 : brake.phase === 'capped' ? 1 : 2;
  text.add(
    'meshnet_brake',
    'gauge',
    '0: holds nobody, 1: only the worst are cut, 2: nobody is.',
    phase,
  );
  const held = brake?.held.length ?? 0;
  text.add('meshnet_brake_held', 'gauge', 'Members only because of the brake.', held);
  const ofEvaluator = ({ evaluator }: EvaluatorStatus) => ({ evaluator });
  text.each(
    'meshnet_evaluator_bias',
    'gauge',
    'Mean of its scores less the median of all evaluators.',
    epoch.evaluators,
    ofEvaluator,
    (one) => one.bias,
  );
  text.each(
    'meshnet_evaluator_silence_seconds',
    'gauge',
    'Since its last word on anybody.',
    epoch.evaluators,
    ofEvaluator,
    (one) => one.last_s,
  );
  text.add('meshnet_streams', 'gauge', 'Nodes that receive pushes.', streams.size);
  const taken = counters.count('score_accepted');
  text.add('meshnet_benchmarks_accepted_total', 'counter', 'Scores taken.', taken);
  text.add(
    'meshnet_problems_total',
    'counter',
    'Requests answered with a problem.',
    [...counters.refusedByCode].map(([code, count]) => [{ code }, count]),
  );
  text.add(
    'meshnet_verdicts',
    'gauge',
    'Nodes by what the epoch says of them.',
    [...verdictsOf(nodes)].map(([reason, count]) => [{ reason }, count]),
  );
  const tokens = await services.store.openTokens(services.clock.now());
  text.add('meshnet_tokens', 'gauge', 'Join tokens that can be used.', tokens.length);
  const { size } = await services.store.logState();
  text.add('meshnet_log_leaves', 'gauge', 'Leaves of the log.', size);
  const { cosigning } = services;
  const ofWitness = (value: (one: WitnessProgress) => number): Sample[] =>
    cosigning.progress.map((one) => [{ witness: one.witness }, value(one)]);
  text.add(
    'meshnet_log_cosigned_leaves',
    'gauge',
    'Leaves of the last checkpoint that each witness has cosigned.',
    ofWitness((one) => one.leaves),
  );
  text.add(
    'meshnet_log_witness_behind_epochs',
    'gauge',
    'Epochs since each witness cosigned the newest.',
    ofWitness((one) => one.behind),
  );
  const isWitnessed = cosigning.fault === undefined ? 1 : 0;
  text.add('meshnet_log_witnessed', 'gauge', 'As many keep up as the policy says.', isWitnessed);
  text.add(
    'meshnet_requests_total',
    'counter',
    'Requests by route and status; a stream when it has ended.',
    services.requests.samples,
  );
  text.histogram(
    'meshnet_request_duration_seconds',
    'From the arrival of a request until its answer is ready.',
    services.requests.durations,
  );
  eventMetrics(text, services);
  const perNode = (
    name: string,
    help: string,
    value: (node: EpochDocument['nodes'][number]) => number | null,
  ) => text.each(name, 'gauge', help, nodes, ({ node_id }) => ({ node: node_id }), value);
  perNode('meshnet_node_allowed', '1 for members.', (node) => (node.allowed ? 1 : 0));
  perNode('meshnet_node_score', 'Lowest score of the required suites.', (node) => node.score);
  perNode('meshnet_node_score_age_seconds', 'Age of the oldest of them.', (node) => node.age_s);
  return text.toString();
}

/** How many nodes are in or out for which reason. */
function verdictsOf(nodes: EpochDocument['nodes']): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { reason } of nodes) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  return counts;
}
