import { toBase64 } from '../contract/encoding.ts';
import type { EpochDocument, EvaluatorStatus } from '../contract/epoch.ts';
import { compareNodeIds, signingKeyId } from '../contract/ids.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import { brakeStatus } from './brake-status.ts';
import type { ControllerClock } from './clock.ts';
import type { NodeDirectory } from './directory.ts';
import { type NodeVerdict, undecided } from './epoch.ts';
import type { Governor } from './governor.ts';
import { agreementOf } from './policy/agreement.ts';
import { backIn, ruleText } from './policy/explain.ts';
import type { Settings } from './settings.ts';
import type { EventCounters } from './subscribers/counters.ts';

export interface EpochDocumentOptions {
  readonly directory: NodeDirectory;
  readonly governor: Governor;
  readonly settings: Settings;
  readonly clock: ControllerClock;
  readonly crypto: CryptoProvider;
  readonly meshId: Uint8Array;
  readonly counters: EventCounters;
}

/** Who is in, who is out, and why: what is in force, with scores and ages as they are now. */
async function epochDocument(options: EpochDocumentOptions): Promise<EpochDocument> {
  const { directory, governor, settings, clock, meshId, counters } = options;
  const verdicts = await governor.verdicts();
  const epoch = governor.current;
  const now = clock.now();
  const decisions = new Map(epoch?.decisions.map((one) => [one.nodeId, one]));
  const rule = settings.policy.suites[0]!;
  const nodes = [...directory.nodes.values()].sort((a, b) => compareNodeIds(a.nodeId, b.nodeId));
  return {
    mesh_id: toBase64(meshId),
    epoch: epoch?.epoch ?? 0,
    version: epoch?.version ?? 0,
    now,
    started_at: epoch?.startedAt ?? now,
    next_rotation_at: governor.nextRotationAt,
    epoch_s: settings.epochS,
    threshold: rule.threshold,
    freshness_s: rule.maxAgeS,
    observe_only: settings.observeOnly,
    not_ready: governor.notReady ?? null,
    brake: brakeStatus(epoch, settings.policy.brake, settings.epochS * 1000),
    rotations: counters.count('epoch_committed'),
    exclusions: counters.exclusions,
    evaluators: evaluatorsOf(options, verdicts, now),
    nodes: nodes.map(({ nodeId, tunnelAddress }) => {
      const { allowed, reason, explanation, sinceEpoch } =
        decisions.get(nodeId) ?? undecided(nodeId);
      const { verdict: present, judged } = verdicts.get(nodeId) ?? {};
      return {
        node_id: nodeId,
        tunnel_address: tunnelAddress,
        allowed,
        reason,
        explanation,
        score: present?.score ?? null,
        age_s: present?.ageS ?? null,
        since_epoch: sinceEpoch,
        suites: present?.suites ?? [],
        rules: judged?.judgement.findings.map(({ rule }) => ruleText(rule)) ?? [],
        back_in_epochs: allowed || !judged ? null : backIn(judged.judgement, judged.standing),
      };
    }),
  };
}

function evaluatorsOf(
  { settings, crypto }: EpochDocumentOptions,
  verdicts: ReadonlyMap<string, NodeVerdict>,
  now: number,
): EvaluatorStatus[] {
  const scores = new Map([...verdicts].map(([id, one]) => [id, one.scores ?? []]));
  const keyIds = settings.evaluators.map((key) => signingKeyId(crypto, key));
  return agreementOf(settings.policy, scores, keyIds, now).map(({ lastS, ...one }) => ({
    ...one,
    last_s: lastS,
  }));
}

/** However many ask, it is made once for what it says: again after a change, or when its ages are old. */
export class EpochDocuments {
  private readonly options: EpochDocumentOptions;
  private cached: { readonly of: string; readonly document: Promise<EpochDocument> } | undefined;

  constructor(options: EpochDocumentOptions) {
    this.options = options;
  }

  /** At most a second old. */
  present(): Promise<EpochDocument> {
    const { directory, governor, clock, counters } = this.options;
    const { epoch = 0, version = 0 } = governor.current ?? {};
    const second = Math.floor(clock.now() / 1000);
    const scores = counters.count('score_accepted');
    const of = [epoch, version, directory.changes, scores, second].join('.');
    if (this.cached?.of !== of) this.cached = { of, document: epochDocument(this.options) };
    return this.cached.document;
  }
}
