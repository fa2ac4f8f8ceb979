import type { EpochDocument } from '../../../src/contract/epoch.ts';

const NOW = 1_700_000_000_000;

/** Numbers from 0 to 1 that look random and are the same each time. */
const scattered = (i: number) => (Math.imul(i + 1, 0x9e3779b1) >>> 0) / 2 ** 32;

/** A controller's document of many nodes: most pass, one in fifty is denied. */
export function largeMesh(count: number): EpochDocument {
  return {
    mesh_id: 'bWVzaA==',
    epoch: 41,
    version: 42,
    now: NOW,
    started_at: NOW - 20_000,
    next_rotation_at: NOW + 40_000,
    epoch_s: 60,
    threshold: 0.7,
    freshness_s: 120,
    observe_only: false,
    not_ready: null,
    brake: null,
    witnesses: null,
    evaluators: [],
    rotations: 42,
    exclusions: 7,
    nodes: Array.from({ length: count }, (_, i) => {
      const allowed = i % 50 !== 49;
      const score = (allowed ? 0.7 : 0.4) + 0.3 * scattered(i);
      const node_id = `node-${String(i).padStart(4, '0')}`;
      return node(node_id, i, allowed, score, 10 * scattered(i + count));
    }),
  };
}

function node(node_id: string, i: number, allowed: boolean, score: number, age_s: number) {
  const judged = `alignment score ${score.toFixed(2)} is ${allowed ? 'at least' : 'below the threshold of'} 0.70`;
  return {
    node_id,
    tunnel_address: `10.10.${(i + 2) >> 8}.${(i + 2) & 255}`,
    allowed,
    reason: allowed ? 'passed' : 'score_below_threshold',
    explanation: `${judged} and ${age_s.toFixed(0)} s old (at most 120 s).`,
    score,
    age_s,
    since_epoch: allowed ? 1 + (i % 40) : null,
    suites: [{ suite: 'alignment', score, age_s, samples: 50, max_age_s: 120, passed: allowed }],
    rules: ['score >= 0.70 and age <= 120 s'],
    back_in_epochs: allowed ? null : 1,
  };
}

/** The same a second later, when `count` nodes from the `first` on have reported. */
export function reported(document: EpochDocument, first: number, count: number): EpochDocument {
  const nodes = document.nodes.map((node, i) => {
    const isNew = i >= first && i < first + count && node.allowed;
    const score = isNew ? 0.7 + 0.3 * scattered(i * 31 + first) : node.score;
    const age_s = isNew ? 0.5 * scattered(i) : node.age_s! + 1;
    return { ...node, score, age_s, suites: node.suites.map((one) => ({ ...one, score, age_s })) };
  });
  return { ...document, now: document.now + 1000, nodes };
}
