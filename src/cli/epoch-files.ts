import type { EpochEvent, Leaf } from '../contract/record/leaf.ts';
import type { EpochFiles } from '../controller/record/replay.ts';
import { inAdvance } from './in-advance.ts';
import type { ScoreThreads } from './score-threads.ts';

/** Verdicts of epochs whose signatures are verified together: most often, each has one score that is new. */
const TOGETHER = 2048;
/** So many times that are read and verified before their turn. */
const AHEAD = 3;

/** Rows and evidence of an epoch, as far as they are kept. */
export type ReadEpoch = (
  epoch: number,
) => Promise<readonly [rows: Uint8Array | undefined, evidence: Uint8Array | undefined]>;

/** What the epochs of a log are made of, in their order, signatures verified. */
export async function* epochFiles(
  leaves: readonly Leaf[],
  threads: ScoreThreads,
  read: ReadEpoch,
): AsyncGenerator<EpochFiles, undefined> {
  const groups = inAdvance(groupsOf(leaves), AHEAD, async (epochs): Promise<EpochFiles[]> => {
    const files: Awaited<ReturnType<ReadEpoch>>[] = [];
    for (const epoch of epochs) files.push(await read(epoch));
    const none = new Uint8Array(0);
    const scores = await threads.verify(files.map(([, evidence = none]) => evidence));
    return files.map(([rows], i) => ({ rows, scores: scores[i]! }));
  });
  for await (const group of groups) yield* group;
}

function groupsOf(leaves: readonly Leaf[]): number[][] {
  const groups: number[][] = [];
  let room = 0;
  for (const leaf of leaves.filter((one): one is Leaf & EpochEvent => one.event === 'epoch')) {
    room -= leaf.verdicts.count;
    if (groups.length === 0 || room < 0) {
      groups.push([]);
      room = TOGETHER - leaf.verdicts.count;
    }
    groups.at(-1)!.push(leaf.epoch);
  }
  return groups;
}
