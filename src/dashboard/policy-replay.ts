import { extname } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { signingKeyId } from '../contract/ids.ts';
import { accepted, type Checked, rejected } from '../contract/problems.ts';
import { rulesOf, settingsWith } from '../controller/operations/policy.ts';
import type { Services } from '../controller/services.ts';
import type { RecordedScore } from '../replay/recorded.ts';
import type { ReplayView } from './documents.ts';
import type { ReplayFound, ReplayPolicies } from './replay-worker.ts';

/** The newest scores, which are read so many at a time: an epoch must not wait for them. */
const MAX_SCORES = 100_000;
const PAGE = 1000;
/** Longest that a replay may take, ms, and most memory, MB. */
const MAX_MS = 60_000;
const MAX_MEMORY = 512;

/** Tries policies on the scores that the controller remembers, one at a time, in a thread of its own. */
export class PolicyReplay {
  private readonly services: Services;
  private isBusy = false;

  constructor(services: Services) {
    this.services = services;
  }

  async run(document: object, signal: AbortSignal): Promise<Checked<ReplayView>> {
    const proposed = settingsWith(this.services, document);
    if (!proposed.ok) return proposed;
    if (this.isBusy) {
      return rejected('overloaded', { detail: 'Another policy is being replayed: try again.' });
    }
    this.isBusy = true;
    const thread = new ReplayThread(signal);
    try {
      const { policy, epochS } = this.services.settings;
      const { scores, isAll } = await this.tell(thread);
      if (scores === 0) {
        return rejected('not_found', { detail: 'No score is remembered to try a policy on.' });
      }
      const next = proposed.value.policy;
      const found = await thread.judge({ policies: [policy, next], epochMs: epochS * 1000 });
      if (typeof found === 'string') return rejected('overloaded', { detail: found });
      const rules = [rulesOf(policy), rulesOf(next)] as const;
      return accepted({ ...found, epochS, scores, isAll, rules });
    } finally {
      thread.end();
      this.isBusy = false;
    }
  }

  /** A node's own scores bear its name, those of an evaluator its keyid. */
  private async tell(thread: ReplayThread): Promise<{ scores: number; isAll: boolean }> {
    const { store, crypto } = this.services;
    const { nodes } = await store.roster();
    const names = new Map(
      nodes.map(({ nodeId, signing }) => [signingKeyId(crypto, signing), nodeId]),
    );
    let scores = 0;
    let end: number | null = null;
    do {
      const page = await store.scorePage(end, PAGE);
      thread.take(
        page.scores.map((one) => ({ ...one, signer: names.get(one.signer) ?? one.signer })),
      );
      scores += page.scores.length;
      end = page.end;
      await nextTurn();
    } while (end !== null && scores < MAX_SCORES && !thread.isOver);
    return { scores, isAll: end === null };
  }
}

/** One replay's thread, which ends when it takes too long, needs too much, or nobody waits any more. */
class ReplayThread {
  isOver = false;
  private readonly worker: Worker;
  private readonly late: NodeJS.Timeout;
  /** What it found, or why it found nothing. */
  private readonly outcome = Promise.withResolvers<ReplayFound | string>();

  constructor(signal: AbortSignal) {
    const url = new URL(`./replay-worker${extname(import.meta.url)}`, import.meta.url);
    const { resolve, promise, reject } = this.outcome;
    this.worker = new Worker(url, { resourceLimits: { maxOldGenerationSizeMb: MAX_MEMORY } });
    this.late = setTimeout(() => {
      resolve(`It takes longer than ${MAX_MS / 1000} s: try it with meshnet replay --state.`);
    }, MAX_MS);
    const stop = () => resolve('Nobody waits for it any more.');
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
    this.worker.once('message', resolve);
    this.worker.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ERR_WORKER_OUT_OF_MEMORY') return reject(error);
      resolve('It takes more memory than it may: try it with meshnet replay --state.');
    });
    const over = () => {
      this.isOver = true;
    };
    promise.then(over, over);
  }

  take(scores: readonly RecordedScore[]): void {
    this.worker.postMessage(scores);
  }

  judge(policies: ReplayPolicies): Promise<ReplayFound | string> {
    this.worker.postMessage(policies);
    return this.outcome.promise;
  }

  end(): void {
    clearTimeout(this.late);
    void this.worker.terminate();
  }
}
