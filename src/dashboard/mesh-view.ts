import type { EpochDocument, NodeStatus } from '../contract/epoch.ts';
import type { Reach, Told } from '../controller/reach-reports.ts';
import { fromColumns, isSameNode, toColumns } from './columns.ts';
import type {
  EpochView,
  MeshDelta,
  MeshView,
  NodeDetail,
  NodeView,
  PairView,
} from './documents.ts';

/**
 * The controller's document as the page keeps it: with times instead of ages, so that what does not
 * happen is not told again every second. Pure.
 */
export function meshView(
  document: EpochDocument,
  notReady: string | undefined,
  reach: ReadonlyMap<string, Reach> = new Map(),
): MeshView {
  const { now, brake } = document;
  const epoch: EpochView = {
    meshId: document.mesh_id,
    epoch: document.epoch,
    version: document.version,
    startedAt: document.started_at,
    nextRotationAt: document.next_rotation_at,
    epochS: document.epoch_s,
    threshold: document.threshold,
    freshnessS: document.freshness_s,
    observeOnly: document.observe_only,
    brake: brake && { phase: brake.phase, until: brake.until, held: brake.held.length },
    rotations: document.rotations,
    exclusions: document.exclusions,
    notReady: notReady ?? null,
  };
  const nodes = document.nodes.map((node) => ({
    ...nodeView(node, now),
    reach: reach.get(node.node_id) ?? null,
  }));
  return { now, epoch, nodes: toColumns(nodes) };
}

function nodeView(node: NodeStatus, now: number): Omit<NodeView, 'reach'> {
  const { reason, score } = node;
  const observedAt = timeOf(node.age_s, now);
  const times = node.suites.map(({ age_s }) => timeOf(age_s, now) ?? Number.NEGATIVE_INFINITY);
  const latest = Math.max(...times);
  return {
    id: node.node_id,
    allowed: node.allowed,
    reason,
    explanation: reason === 'passed' ? null : node.explanation,
    sinceEpoch: node.since_epoch,
    score: score === null ? null : Math.round(score * 1e4) / 1e4,
    observedAt,
    latestAt: Number.isFinite(latest) && latest !== observedAt ? latest : null,
  };
}

/** Undefined: there is no such node in it. */
export function nodeDetail(
  { nodes, now }: Pick<EpochDocument, 'nodes' | 'now'>,
  id: string,
): NodeDetail | undefined {
  const node = nodes.find((one) => one.node_id === id);
  if (node === undefined) return undefined;
  return {
    address: node.tunnel_address,
    explanation: node.explanation,
    suites: node.suites.map(({ suite, score, age_s, samples, passed }) => {
      return { suite, score, observedAt: timeOf(age_s, now), samples, passed };
    }),
    rules: node.rules,
    backInEpochs: node.back_in_epochs,
  };
}

export function pairView(told: Told): PairView {
  const { by, node_id, echo, echoAt, rtt_ms, handshake_age_s, receivedAt, path } = told;
  const handshakeAt = timeOf(handshake_age_s, receivedAt);
  return { by, node: node_id, echo, echoAt, rttMs: rtt_ms, handshakeAt, path };
}

function timeOf(age: number | null, now: number): number | null {
  return age === null ? null : Math.round(now - age * 1000);
}

/** What takes `before` to `after`; undefined if nothing but time has passed. */
export function meshDelta(before: MeshView, after: MeshView): MeshDelta | undefined {
  const old = new Map(fromColumns(before.nodes).map((node) => [node.id, node]));
  const changed = fromColumns(after.nodes).filter((node) => {
    const was = old.get(node.id);
    return was === undefined || !isSameNode(was, node);
  });
  const present = new Set(after.nodes.id);
  const gone = before.nodes.id.filter((id) => !present.has(id));
  const isSameEpoch = JSON.stringify(before.epoch) === JSON.stringify(after.epoch);
  if (changed.length === 0 && gone.length === 0 && isSameEpoch) return undefined;
  const epoch = isSameEpoch ? {} : { epoch: after.epoch };
  return { now: after.now, ...epoch, changed: toColumns(changed), gone };
}
