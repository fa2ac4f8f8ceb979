import { parentPort } from 'node:worker_threads';
import type { Policy } from '../controller/policy.ts';
import { Figures, type MeshFigures } from '../replay/figures.ts';
import { OperatingCurve } from '../replay/operating-curve.ts';
import { type RecordedScore, RecordedScores } from '../replay/recorded.ts';
import { run } from '../replay/run.ts';
import type { ReplayTrial, ReplayView } from './documents.ts';

/** A thread that tries the policy in force and another one on recorded scores. */

/** Sent after the scores, which come in any number of pieces. */
export interface ReplayPolicies {
  readonly policies: readonly [inForce: Policy, proposed: Policy];
  readonly epochMs: number;
}

export type ReplayFound = Pick<ReplayView, 'from' | 'epochs' | 'inForce' | 'proposed'>;

/** How far below and above its threshold a policy is tried. */
const AROUND = [-0.1, -0.06, -0.04, -0.02, 0, 0.02, 0.04, 0.06, 0.1];

function found(
  scores: readonly RecordedScore[],
  { policies, epochMs }: ReplayPolicies,
): ReplayFound {
  const source = new RecordedScores(scores, epochMs);
  const { threshold } = policies[1].suites[0]!;
  const thresholds = AROUND.map((by) => Math.round((threshold + by) * 1000) / 1000);
  const tried = thresholds.filter((one) => one >= 0 && one <= 1);
  const curve = new OperatingCurve(source, threshold, epochMs, tried);
  const trials = policies.map((policy, i) => {
    const figures = new Figures(source, policy.suites[0]!.threshold, epochMs);
    curve.add(`${i}`, policy);
    return { figures, trial: { policy, epochMs, onEpoch: figures.onEpoch } };
  });
  run(source, [...trials.map(({ trial }) => trial), ...curve.trials], () => {});
  const curves = curve.results();
  const [inForce, proposed] = trials.map(({ figures }, i) => view(figures.result(), curves[i]!));
  const { startsAt: from, epochs } = source;
  return { from, epochs, inForce: inForce!, proposed: proposed! };
}

function view(
  { cuts, worst_epoch, frozen_epochs, nodes }: MeshFigures,
  curve: ReturnType<OperatingCurve['results']>[number],
): ReplayTrial {
  return {
    cuts,
    worstEpoch: worst_epoch,
    frozenEpochs: frozen_epochs,
    nodes: nodes.map(({ node, cuts, member_share, epochs_out }) => {
      return { node, cuts, memberShare: member_share, epochsOut: epochs_out };
    }),
    curve: curve.map(({ threshold, figures }) => ({
      threshold,
      cuts: figures.cuts,
      nodesCut: figures.nodes.filter((one) => one.cuts > 0).length,
    })),
  };
}

const scores: RecordedScore[] = [];
parentPort!.on('message', (message: readonly RecordedScore[] | ReplayPolicies) => {
  if ('policies' in message) parentPort!.postMessage(found(scores, message));
  else for (const one of message) scores.push(one);
});
