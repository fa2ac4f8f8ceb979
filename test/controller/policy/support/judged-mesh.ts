import { type Epoch, membersOf, nextEpoch, standingsOf } from '../../../../src/controller/epoch.ts';
import { decideMesh } from '../../../../src/controller/policy/decide-mesh.ts';
import type { Policy, Score } from '../../../../src/controller/policy.ts';
import { readPolicy } from '../../../../src/controller/policy-file.ts';
import { completeSettings } from '../../../../src/controller/settings.ts';

export const EPOCH_MS = 60_000;

/** A policy document, completed as the controller does it. */
export function policyFrom(document: object): Policy {
  const evaluators = JSON.stringify(document).includes('"evaluators"') ? [EVALUATOR_KEY] : [];
  return completeSettings({ ...readPolicy({ version: 2, ...document }), evaluators }).policy;
}

/** Any that is acceptable; judgement goes by keyids. */
const EVALUATOR_KEY = Uint8Array.from(
  Buffer.from('11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=', 'base64'),
);

/** Many nodes judged epoch after epoch by the functions that the governor calls, on values alone. */
export class JudgedMesh {
  policy: Policy;
  evaluators: string[] = [];
  epoch: Epoch | undefined;
  readonly nodeIds: string[];
  private now = 1_700_000_000_000;
  private readonly newest = new Map<string, Map<string, Score>>();

  constructor(nodes: number, policy: Policy) {
    this.nodeIds = Array.from({ length: nodes }, (_, i) => `n${i}`);
    this.policy = policy;
  }

  get members(): number {
    return membersOf(this.epoch).size;
  }

  reasonOf(nodeId: string): string {
    return this.epoch!.decisions.find((one) => one.nodeId === nodeId)!.reason;
  }

  explanationOf(nodeId: string): string {
    return this.epoch!.decisions.find((one) => one.nodeId === nodeId)!.explanation;
  }

  /** A score that arrives a second before the end of the epoch. `signer`: the node if left out. */
  report(nodeId: string, score: number, suite = 'alignment', signer = nodeId): void {
    const at = this.now + EPOCH_MS - 1000;
    const words = this.newest.get(nodeId) ?? new Map<string, Score>();
    const one = { suite, signer, score, samples: 50, observedAt: at, receivedAt: at };
    this.newest.set(nodeId, words.set(`${signer} ${suite}`, one));
  }

  /** Everybody that is enrolled reports the same. */
  reportAll(score: (index: number) => number, suite?: string, signer?: string): void {
    this.nodeIds.forEach((id, index) => {
      this.report(id, score(index), suite, signer);
    });
  }

  /** The epoch ends. Returns how many members the next one has. */
  end(): number {
    this.now += EPOCH_MS;
    const state = {
      nodeIds: this.nodeIds,
      scores: new Map([...this.newest].map(([id, words]) => [id, [...words.values()]])),
      evaluators: this.evaluators,
      signersOf: (nodeId: string) => (rule: { signers: string }) =>
        rule.signers === 'node' ? [nodeId] : this.evaluators,
      standings: standingsOf(this.epoch),
      isAwaited: () => false,
      isReachable: () => true,
      observeOnly: false,
    };
    const { verdicts } = decideMesh(this.policy, state, { now: this.now, epochMs: EPOCH_MS });
    this.epoch = nextEpoch({
      previous: this.epoch,
      verdicts,
      observeOnly: false,
      startedAt: this.now,
      secret: new Uint8Array(32),
    });
    return this.members;
  }
}
