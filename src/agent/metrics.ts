import { MetricsText, type Sample } from '../contract/prometheus.ts';
import { processUsage } from '../ground/process-usage.ts';
import { version } from '../ground/version.ts';
import type { NodeStatusDocument } from './status.ts';

/** A node's status as text for Prometheus. */
export function nodeMetrics(status: NodeStatusDocument): string {
  const text = new MetricsText();
  text.addProcess('meshnet_node', version(), processUsage());
  const metric = text.add.bind(text);
  const peers = (value: (peer: NodeStatusDocument['peers'][number]) => number | null): Sample[] =>
    status.peers.flatMap((peer): Sample[] => {
      const found = value(peer);
      return found === null ? [] : [[{ peer: peer.node_id }, found]];
    });

  metric('meshnet_node_ready', 'gauge', 'Handshakes with all reachable members are done.', [
    [{}, status.ready ? 1 : 0],
  ]);
  metric(
    'meshnet_node_state',
    'gauge',
    '1 for the state the node is in.',
    ['starting', 'member', 'denied', 'expired'].map((state) => [
      { state },
      status.state === state ? 1 : 0,
    ]),
  );
  metric('meshnet_node_epoch', 'gauge', 'Newest epoch heard of.', [[{}, status.epoch]]);
  metric('meshnet_node_push_connected', 'gauge', 'Whether pushes arrive.', [
    [{}, status.push ? 1 : 0],
  ]);
  metric(
    'meshnet_node_split_view',
    'gauge',
    'The controller has signed two headers that cannot both be true, since the start.',
    [[{}, status.split_view ? 1 : 0]],
  );
  metric(
    'meshnet_node_log_forked',
    'gauge',
    "The controller's log contradicts what it said before, since the start.",
    [[{}, status.log.fork === null ? 0 : 1]],
  );
  metric(
    'meshnet_node_config_expires_seconds',
    'gauge',
    'Until the node fails closed without a word of the controller.',
    [[{}, status.expires_in_s ?? 0]],
  );
  metric(
    'meshnet_peer_generation',
    'gauge',
    'Epoch of the keys that are sent on.',
    peers((peer) => peer.generation),
  );
  metric(
    'meshnet_peer_handshake_age_seconds',
    'gauge',
    'Since the last handshake.',
    peers((peer) => peer.handshake_age_s),
  );
  metric(
    'meshnet_peer_receive_bytes_total',
    'counter',
    'Bytes received from the peer.',
    peers((peer) => peer.rx_bytes),
  );
  metric(
    'meshnet_peer_transmit_bytes_total',
    'counter',
    'Bytes sent to the peer.',
    peers((peer) => peer.tx_bytes),
  );
  metric(
    'meshnet_probe_up',
    'gauge',
    'Whether the last echo through the tunnel was answered.',
    status.probes.map((probe) => [{ peer: probe.node_id }, probe.ok ? 1 : 0]),
  );
  metric(
    'meshnet_probe_rtt_seconds',
    'gauge',
    'Round trip of the last echo.',
    status.probes.flatMap((probe): Sample[] =>
      probe.rtt_ms === null ? [] : [[{ peer: probe.node_id }, probe.rtt_ms / 1000]],
    ),
  );
  const scores = (value: (score: NodeStatusDocument['scores'][number]) => number | null) =>
    status.scores.flatMap((score): Sample[] => {
      const found = value(score);
      return found === null ? [] : [[{ suite: score.suite }, found]];
    });
  metric(
    'meshnet_node_score',
    'gauge',
    'Last score that was measured here.',
    scores(({ score }) => score),
  );
  metric(
    'meshnet_node_score_age_seconds',
    'gauge',
    'Since that was measured.',
    scores(({ age_s }) => age_s),
  );
  metric(
    'meshnet_node_score_running_seconds',
    'gauge',
    'For how long a run of a score command is under way.',
    scores(({ running_s }) => running_s),
  );
  metric(
    'meshnet_agent_events_total',
    'counter',
    'What the agent did and ignored, by name.',
    Object.entries(status.counters).map(([event, value]) => [{ event }, value]),
  );
  metric(
    'meshnet_device_drops_total',
    'counter',
    'Packets dropped and messages rejected, by reason.',
    Object.entries(status.drops).map(([reason, value]) => [{ reason }, value]),
  );
  return text.toString();
}
