import { availableParallelism } from 'node:os';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import {
  type SignedScore,
  type SigningKeys,
  signedScores,
  signingKeys,
} from '../contract/record/evidence.ts';
import { defaultProvider } from '../crypto/select.ts';

/** Bytes of evidence that are verified in the time in which a thread begins. */
const FEW = 300_000;

/** Of each file. */
type SignedScores = readonly (readonly SignedScore[])[];

interface ScoreThread {
  readonly worker: Worker;
  /** In the order of what it was given. */
  readonly waiting: PromiseWithResolvers<SignedScores>[];
}

/**
 * Threads that verify the signatures of scores, which is most of the work of verifying a log: as many as there
 * are processors, each begun when those before it have enough to do.
 */
export class ScoreThreads {
  private readonly crypto = defaultProvider();
  private readonly keys: SigningKeys;
  private readonly most: number;
  /** Bytes that this thread still verifies itself. */
  private few: number;
  private readonly threads: ScoreThread[] = [];

  /** `keys`: base64 of all that may have signed. */
  constructor(keys: Iterable<string>, most = availableParallelism(), few = FEW) {
    this.keys = signingKeys(this.crypto, keys);
    this.most = most;
    this.few = few;
  }

  /** The scores in files of evidence, verified together; rejects if a thread failed. */
  async verify(files: readonly Uint8Array[]): Promise<SignedScores> {
    const length = files.reduce((sum, file) => sum + file.length, 0);
    if (length <= this.few) {
      this.few -= length;
      return signedScores(this.crypto, files, this.keys);
    }
    const { worker, waiting } = this.idlest();
    const answer = Promise.withResolvers<SignedScores>();
    waiting.push(answer);
    worker.postMessage(files);
    return answer.promise;
  }

  async close(): Promise<void> {
    await Promise.all(this.threads.map(({ worker }) => worker.terminate()));
  }

  private idlest(): ScoreThread {
    const [first] = this.threads.toSorted((a, b) => a.waiting.length - b.waiting.length);
    const isEnough = first !== undefined && first.waiting.length < 2;
    return isEnough || this.threads.length >= this.most ? first! : this.begun();
  }

  private begun(): ScoreThread {
    // Published builds have .js files, sources .ts: the neighbour has this module's own ending.
    const url = new URL(`./score-worker${extname(import.meta.url)}`, import.meta.url);
    const worker = new Worker(url, { workerData: this.keys });
    const thread: ScoreThread = { worker, waiting: [] };
    worker.on('message', (scores: SignedScore[][]) => thread.waiting.shift()!.resolve(scores));
    const fail = (error: Error) => {
      for (const { reject } of thread.waiting.splice(0)) reject(error);
    };
    worker.on('error', fail);
    worker.on('exit', () => fail(new Error('a thread that verifies scores ended')));
    this.threads.push(thread);
    return thread;
  }
}
