import { toBase64 } from '../contract/encoding.ts';
import type {
  EpochDocument,
  EpochPage,
  EvaluatorStatus,
  JudgedSuite,
  SuiteStatus,
  WitnessesStatus,
} from '../contract/epoch.ts';
import { compareNodeIds, signingKeyId } from '../contract/ids.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import { brakeStatus } from './brake-status.ts';
import type { ControllerClock } from './clock.ts';
import type { NodeDirectory } from './directory.ts';
import { type NodeVerdict, undecided } from './epoch.ts';
import type { Governor } from './governor.ts';
import { agreementOf } from './policy/agreement.ts';
import { backIn, ruleText } from './policy/explain.ts';
import { type Policy, suitesOf } from './policy.ts';
import type { Cosigning } from './record/cosigning.ts';
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
  readonly cosigning: Cosigning;
}

/** Who is in, who is out, and why: what is in force, with scores and ages as they are now. */
async function epochDocument(options: EpochDocumentOptions): Promise<EpochDocument> {
  const { directory, governor, settings, clock, meshId, counters } = options;
  const now = clock.now(); // of the ages, too: judging takes its time
  const verdicts = await governor.verdicts(now);
  const epoch = governor.current;
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
    witnesses: witnessesOf(options.cosigning),
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
        suites: judgedSuites(settings.policy, nodeId, present?.suites),
        rules: judged?.judgement.findings.map(({ rule }) => ruleText(rule)) ?? [],
        back_in_epochs: allowed || !judged ? null : backIn(judged.judgement, judged.standing),
      };
    }),
  };
}

function witnessesOf({ rule, fault, progress }: Cosigning): WitnessesStatus | null {
  if (progress.length === 0) return null;
  return {
    needed: rule?.needed ?? 0,
    within_epochs: rule?.withinEpochs ?? 0,
    binding: rule?.isBinding ?? false,
    fault: fault ?? null,
    each: progress.map(({ witness, leaves, behind }) => ({
      witness,
      leaves,
      behind_epochs: behind,
    })),
  };
}

/** With the age that the policy in force allows; what it does not ask for any more is left out. */
function judgedSuites(
  policy: Policy,
  nodeId: string,
  suites: readonly SuiteStatus[] = [],
): JudgedSuite[] {
  const rules = new Map(suitesOf(policy, nodeId).map((rule) => [rule.suite, rule]));
  return suites.flatMap((one) => {
    const rule = rules.get(one.suite);
    return rule === undefined ? [] : [{ ...one, max_age_s: rule.maxAgeS }];
  });
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

/** Up to so many nodes, a score shows in the document at once; beyond, within a second. */
const SHOWN_AT_ONCE = 1000;
/** For so long (ms) a page that follows another one is of the same moment as that. */
const PAGES_MS = 10_000;

interface Made {
  /** What of the mesh it says, and how things stood. */
  readonly of: string;
  readonly state: string;
  readonly at: number;
  readonly document: Promise<EpochDocument>;
}

/** However many ask, it is made once for what it says: again after a change, or when its ages are old. */
export class EpochDocuments {
  private readonly options: EpochDocumentOptions;
  private made: Made | undefined;

  constructor(options: EpochDocumentOptions) {
    this.options = options;
  }

  /** At most a second old. */
  present(): Promise<EpochDocument> {
    const { directory, clock, counters } = this.options;
    const at = clock.now();
    const { of } = this;
    const scores = directory.nodes.size > SHOWN_AT_ONCE ? 0 : counters.count('score_accepted');
    const state = `${scores}.${Math.floor(at / 1000)}`;
    if (this.made?.of !== of || this.made.state !== state) {
      this.made = { of, state, at, document: epochDocument(this.options) };
    }
    return this.made.document;
  }

  /** The same with some of its nodes. */
  async page({ after, limit = Number.POSITIVE_INFINITY }: EpochPage): Promise<EpochDocument> {
    const { made } = this;
    const follows =
      after !== undefined && made?.of === this.of && this.options.clock.now() - made.at < PAGES_MS;
    const document = await (follows ? made.document : this.present());
    if (after === undefined && document.nodes.length <= limit) return document;
    const from = after === undefined ? 0 : placeAfter(document.nodes, after);
    const nodes = document.nodes.slice(from, from + limit);
    const more = from + limit < document.nodes.length;
    return { ...document, nodes, ...(more ? { next: nodes.at(-1)!.node_id } : {}) };
  }

  private get of(): string {
    const { directory, governor } = this.options;
    const { epoch = 0, version = 0 } = governor.current ?? {};
    return `${epoch}.${version}.${directory.changes}`;
  }
}

/** Where the ids begin that come after `id` in byte order. */
function placeAfter(nodes: EpochDocument['nodes'], id: string): number {
  let [from, to] = [0, nodes.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (compareNodeIds(nodes[middle]!.node_id, id) <= 0) from = middle + 1;
    else to = middle;
  }
  return from;
}
