import { signingKeyId } from '../contract/ids.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import type { NodeDirectory } from './directory.ts';
import { type Epoch, membersOf, type NodeVerdict, standingsOf } from './epoch.ts';
import { decideMesh } from './policy/decide-mesh.ts';
import { hasReportedSince } from './policy/reading.ts';
import { everySuite, type Policy, type Score, type SignersOf, suitesOf } from './policy.ts';
import type { Presence } from './presence.ts';
import type { JudgedBy } from './record/policy-text.ts';
import type { Settings } from './settings.ts';
import type { Store } from './store/store.ts';

/** A mean that is taken over the epoch also needs what was in force when it began. */
const EPOCHS_OF_A_MEAN = 2;

export interface JudgingOptions {
  readonly store: Store;
  readonly directory: NodeDirectory;
  readonly settings: Settings;
  readonly crypto: CryptoProvider;
  readonly presence: Presence;
  /** Whether a member's report is missing because the controller was away. Time: controller's clock, ms. */
  readonly isAwaited: (nodeId: string, now: number) => boolean;
}

/** Gathers what the policy judges by, and asks it. */
export class Judging {
  private readonly options: JudgingOptions;

  constructor(options: JudgingOptions) {
    this.options = options;
  }

  /**
   * What the policy says of each node at `now`, after `epoch`; as if none of `removed` were one.
   *
   * @param by the policy in force, or another one that is to be tried
   */
  async verdicts(
    epoch: Epoch | undefined,
    now: number,
    removed: readonly string[] = [],
    by: JudgedBy = this.options.settings,
  ): Promise<Map<string, NodeVerdict>> {
    const { directory, presence, isAwaited } = this.options;
    const scores = new Map(await this.scores(by.policy, now));
    const evaluators = this.keyIds(by.evaluators);
    const nodeIds = new Set(directory.nodes.keys());
    for (const all of [scores, nodeIds]) for (const one of removed) all.delete(one);
    const members = membersOf(epoch);
    const state = {
      nodeIds,
      scores,
      evaluators,
      signersOf: (nodeId: string) => this.signersOf(nodeId, evaluators),
      standings: standingsOf(epoch),
      isAwaited: (nodeId: string) => isAwaited(nodeId, now),
      isReachable: (nodeId: string) => presence.has(nodeId) || members.has(nodeId),
      observeOnly: by.observeOnly,
    };
    const { verdicts } = decideMesh(by.policy, state, { now, epochMs: this.epochMs });
    return new Map(
      [...verdicts].map(([id, one]) => [id, { ...one, scores: scores.get(id) ?? [] }]),
    );
  }

  /** Whether a node has reported all that it must since `since`, observed since `observedSince`. */
  async hasReported(nodeId: string, since: number, observedSince: number): Promise<boolean> {
    const { store, settings } = this.options;
    const scores = await store.scoresOf(nodeId);
    const suites = suitesOf(settings.policy, nodeId);
    const signersOf = this.signersOf(nodeId, this.keyIds(settings.evaluators));
    return hasReportedSince(suites, scores, signersOf, since, observedSince);
  }

  private get epochMs(): number {
    return this.options.settings.epochS * 1000;
  }

  /** The newest of each signer, and where a mean is asked for, all of the epoch and of the one before. */
  private async scores(
    policy: Policy,
    now: number,
  ): Promise<ReadonlyMap<string, readonly Score[]>> {
    const { store } = this.options;
    const newest = await store.scores();
    if (everySuite(policy).every((rule) => rule.score === 'newest')) return newest;
    const since = now - EPOCHS_OF_A_MEAN * this.epochMs;
    const recent = await store.scoresSince(since);
    for (const [nodeId, scores] of newest) {
      const older = scores.filter((one) => one.receivedAt < since);
      newest.set(nodeId, [...older, ...(recent.get(nodeId) ?? [])]);
    }
    return newest;
  }

  private keyIds(evaluators: readonly Uint8Array[]): string[] {
    return evaluators.map((key) => signingKeyId(this.options.crypto, key));
  }

  private signersOf(nodeId: string, evaluators: readonly string[]): SignersOf {
    const own = [this.options.directory.keyIdOf(nodeId)!];
    return (rule) => (rule.signers === 'node' ? own : evaluators);
  }
}
