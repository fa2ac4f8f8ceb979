import type { Leaf } from '../contract/record/leaf.ts';
import type { VerdictRow } from '../contract/record/verdict-row.ts';
import { askedFor } from '../controller/describe-event.ts';

/** A leaf in a sentence. `rows`: of an epoch's verdicts, as far as they are known. */
export function leafSentence(leaf: Leaf, rows: readonly VerdictRow[]): string {
  switch (leaf.event) {
    case 'started':
      return 'The controller started.';
    case 'policy':
      return `The policy is ${leaf.hash} from here on.`;
    case 'enrolled':
      return `${leaf.node} was enrolled as ${leaf.tunnel_address}.`;
    case 'endpoint_changed':
      return `${leaf.node} moved to another endpoint.`;
    case 'sequences_reset':
      return `The sequences about ${leaf.node} start anew.`;
    case 'asked':
      return `${askedFor(leaf)}.`;
    case 'removed':
      return `${leaf.node} was taken out for good.`;
    case 'restored':
      return `A backup was restored; the mesh went on with epoch ${leaf.epoch}.`;
    case 'epoch':
      return epochSentence(leaf, rows);
  }
}

function epochSentence(
  { epoch, members, denied, removed }: Extract<Leaf, { event: 'epoch' }>,
  rows: readonly VerdictRow[],
): string {
  const head = `Epoch ${epoch}: ${members} ${members === 1 ? 'member' : 'members'}, ${denied} denied.`;
  if (removed.count === 0) return head;
  const cut = removed.nodes?.map((node) => cutSentence(node, rows)) ?? [
    `${removed.count} were cut.`,
  ];
  return `${head} ${cut.join(' ')}`;
}

function cutSentence(node: string, rows: readonly VerdictRow[]): string {
  const row = rows.find((one) => one.node === node);
  return row === undefined ? `${node} was taken out.` : `${node} was cut: ${numbersOf(row)}.`;
}

/** Reason and numbers of a verdict: `score_below_threshold; alignment 0.300, 4 s old, of 50, failed`. */
export function numbersOf({ reason, suites }: VerdictRow): string {
  const each = suites.map(({ suite, score, age_s, samples, passed }) => {
    const value = score === null ? 'no score' : score.toFixed(3);
    const age = age_s === null ? '' : `, ${Math.round(age_s)} s old`;
    const of = samples === null ? '' : `, of ${samples}`;
    return `${suite} ${value}${age}${of}, ${passed ? 'passed' : 'failed'}`;
  });
  return [reason, ...each].join('; ');
}
