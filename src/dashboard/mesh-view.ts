import type { EpochDocument, NodeStatus } from '../contract/epoch.ts';
import type { EpochView, MeshDelta, MeshView, NodeView } from './documents.ts';

/**
 * The controller's document as the page keeps it: with times instead of ages, so that what does not
 * happen is not told again every second. Pure.
 */
export function meshView(document: EpochDocument, notReady: string | undefined): MeshView {
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
  return { now, epoch, nodes: document.nodes.map((node) => nodeView(node, now)) };
}

function nodeView(node: NodeStatus, now: number): NodeView {
  return {
    id: node.node_id,
    address: node.tunnel_address,
    allowed: node.allowed,
    reason: node.reason,
    explanation: node.explanation,
    sinceEpoch: node.since_epoch,
    score: node.score,
    suites: node.suites.map(({ suite, score, age_s, samples, passed }) => {
      const observedAt = age_s === null ? null : Math.round(now - age_s * 1000);
      return { suite, score, observedAt, samples, passed };
    }),
    rules: node.rules,
    backInEpochs: node.back_in_epochs,
  };
}

/** What takes `before` to `after`; undefined if nothing but time has passed. */
export function meshDelta(before: MeshView, after: MeshView): MeshDelta | undefined {
  const old = new Map(before.nodes.map((node) => [node.id, JSON.stringify(node)]));
  const changed = after.nodes.filter((node) => old.get(node.id) !== JSON.stringify(node));
  const present = new Set(after.nodes.map((node) => node.id));
  const gone = [...old.keys()].filter((id) => !present.has(id));
  const isSameEpoch = JSON.stringify(before.epoch) === JSON.stringify(after.epoch);
  if (changed.length === 0 && gone.length === 0 && isSameEpoch) return undefined;
  return { now: after.now, ...(isSameEpoch ? {} : { epoch: after.epoch }), changed, gone };
}
