import { toBase64 } from '../contract/encoding.ts';
import { signingKeyId } from '../contract/ids.ts';
import { type SigningKeys, signedScores, signingKeys } from '../contract/record/evidence.ts';
import type { Leaf } from '../contract/record/leaf.ts';
import type { VerdictRow } from '../contract/record/verdict-row.ts';
import { evidenceAbout } from '../controller/record/evidence-about.ts';
import { keysOfLog } from '../controller/record/log-keys.ts';
import { judgedBy } from '../controller/record/policy-text.ts';
import { defaultProvider } from '../crypto/select.ts';
import type { RecordedScore } from '../replay/recorded.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import type { LogSourceOptions } from './log-source.ts';
import { type ReadLog, readLog, rowsOf } from './read-log.ts';

const crypto = defaultProvider();

/**
 * The scores that a mesh's log still has with their signatures: those that its verdicts went by.
 * Rejects with a `CommandError` unless the log is what the mesh signed.
 */
export async function scoresOfLog(
  where: string | undefined,
  options: LogSourceOptions,
): Promise<RecordedScore[]> {
  const log = await readLog(where, options);
  const known = new KnownKeys();
  const keys = signingKeys(crypto, keysOfLog(log.leaves));
  const scores: RecordedScore[] = [];
  for (const leaf of log.leaves) {
    known.learn(leaf);
    if (leaf.event === 'epoch') scores.push(...(await scoresOfEpoch(log, leaf.epoch, keys, known)));
  }
  if (scores.length > 0) return scores;
  throw new CommandError(EXIT.usage, 'usage', '--log: no scores are kept in it');
}

/** Whose word counts at a place of the log. */
class KnownKeys {
  private readonly nodes = new Map<string, string>();
  private evaluators: readonly string[] = [];

  learn(leaf: Leaf): void {
    if (leaf.event === 'policy') this.evaluators = judgedBy(leaf.policy).evaluators.map(toBase64);
    if (leaf.event === 'enrolled') this.nodes.set(leaf.node, leaf.keys.signing);
    if (leaf.event === 'removed') this.nodes.delete(leaf.node);
  }

  readonly of = (node: string): string[] => {
    const own = this.nodes.get(node);
    return own === undefined ? [...this.evaluators] : [own, ...this.evaluators];
  };

  /** A node's own word bears its name in a replay, that of an evaluator its keyid. */
  nameOf(node: string, keyId: string): string {
    const own = this.nodes.get(node);
    const isOwn = own !== undefined && signingKeyId(crypto, Uint8Array.fromBase64(own)) === keyId;
    return isOwn ? node : keyId;
  }
}

async function scoresOfEpoch(
  { read, meshId }: ReadLog,
  epoch: number,
  keys: SigningKeys,
  known: KnownKeys,
): Promise<RecordedScore[]> {
  const bytes = await read(`evidence/${epoch}`);
  if (bytes === undefined || bytes.length === 0) return [];
  const entries = entriesOf(await rowsOf(read, epoch));
  const named = new Map([...entries].map(([hash, { node }]) => [hash, node]));
  const believed = { meshId: toBase64(meshId), named, keysOf: known.of };
  const [scores = []] = signedScores(crypto, [bytes], keys);
  return evidenceAbout(scores, believed).flatMap(({ node, signed, signer }) => {
    if (signer === undefined) return [];
    const { suite, score, samples, observed_at: observedAt } = signed.document;
    const { receivedAt } = entries.get(signed.hash)!;
    const measured = { suite, score, samples, observedAt, receivedAt };
    return [{ nodeId: node, signer: known.nameOf(node, signer), ...measured }];
  });
}

/** What rows say of the scores they name, by hash. */
function entriesOf(rows: readonly VerdictRow[]) {
  return new Map(
    rows.flatMap(({ node, evidence }) =>
      evidence.map(({ hash, received_at }) => [hash, { node, receivedAt: received_at }] as const),
    ),
  );
}
