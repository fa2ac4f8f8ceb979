import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Leaf, leafStatement, parseLeaf } from '../contract/record/leaf.ts';
import { rulesOf } from '../controller/operations/policy.ts';
import { judgedBy } from '../controller/record/policy-text.ts';
import type { Store, VerdictRecord } from '../controller/store/store.ts';
import { decodeEntries, TILE_WIDTH, tileWidth } from '../record/tiles.ts';
import type { MarkView } from './documents.ts';

/** The newest entries of the log that are looked at, in tiles: six weeks of epochs of 60 s. */
const MAX_TILES = 256;
/** Entries are looked at so far; most are epochs, which say nothing of this. */
const TELLING = ['"event":"policy"', '"event":"asked"'];
/** Changes that bear on all nodes. */
const OF_ALL: ReadonlySet<string> = new Set(['set_policy', 'release_brake']);

/**
 * Policies, and who asked for them or released the brake, as the log has it: the newest `most`, oldest
 * first. A tile in a turn: an epoch need not wait for it.
 */
export async function recordedPolicies(
  store: Pick<Store, 'logState' | 'logTile'>,
  most: number,
): Promise<MarkView[]> {
  const { size } = await store.logState();
  const newest = Math.ceil(size / TILE_WIDTH) - 1;
  const marks: MarkView[] = [];
  for (let index = newest; index > newest - MAX_TILES && index >= 0; index--) {
    if (marks.length >= most) break;
    await nextTurn();
    const width = tileWidth('entries', index, size);
    const bytes = await store.logTile({ level: 'entries', index, width });
    const entries = (bytes && decodeEntries(bytes)) ?? [];
    marks.unshift(...entries.flatMap((entry) => policyMark(entry) ?? []));
  }
  return marks.slice(-most);
}

function policyMark(entry: Uint8Array): MarkView | undefined {
  const text = Buffer.from(entry.buffer, entry.byteOffset, entry.byteLength);
  if (!TELLING.some((one) => text.includes(one))) return undefined;
  const leaf = parseLeaf(entry);
  if (leaf?.event === 'asked' && isOfAll(leaf)) {
    return { at: leaf.at, ...askedMark(leaf) };
  }
  if (leaf?.event !== 'policy') return undefined;
  const { policy } = judgedBy(leaf.policy);
  const rules = [...rulesOf(policy), ...(policy.brake === null ? ['no brake'] : [])];
  return { at: leaf.at, what: 'policy', sentence: `From here on: ${rules.join(' | ')}` };
}

type Asked = Pick<Extract<Leaf, { event: 'asked' }>, 'event' | 'by' | 'what' | 'about'>;

/** Whether what was asked for bears on all nodes. */
export function isOfAll({ what }: Pick<Asked, 'what'>): boolean {
  return OF_ALL.has(what);
}

export function askedMark(asked: Asked): Pick<MarkView, 'what' | 'sentence'> {
  const what = asked.what === 'set_policy' ? 'policy' : 'brake';
  return { what, sentence: leafStatement(asked)! };
}

/**
 * What the brake did, as the verdicts on whom it held say it: when it began to hold somebody, held them
 * in another way, or none. By node, oldest first; pure.
 */
export function recordedBrakes(
  verdicts: ReadonlyMap<string, readonly VerdictRecord[]>,
): MarkView[] {
  const epochs = new Map<number, { at: number; held?: string }>();
  for (const { epoch, startedAt: at, reason, explanation } of [...verdicts.values()].flat()) {
    const known = epochs.get(epoch) ?? { at };
    if (reason === 'held_by_brake') known.held = firstSentence(explanation);
    epochs.set(epoch, known);
  }
  const marks: MarkView[] = [];
  let before: string | undefined;
  for (const [epoch, { at, held }] of [...epochs].sort(([a], [b]) => a - b)) {
    const way = held?.replace(/\d+/g, '');
    if (way !== before) {
      const sentence = held ?? `It holds nobody any more, from epoch ${epoch} on.`;
      marks.push({ at, what: 'brake', sentence });
    }
    before = way;
  }
  return marks;
}

/** Of an explanation: what is behind it is about one node. */
function firstSentence(text: string): string {
  const end = text.indexOf('. ');
  return end < 0 ? text : text.slice(0, end + 1);
}
