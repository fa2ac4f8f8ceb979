import { runLength, type ValueModel } from '../controller/policy/run-lengths.ts';
import type { CutParameters } from '../controller/policy.ts';
import type { Expected } from '../replay/expected.ts';
import type { MeshFigures } from '../replay/figures.ts';
import type { ScoreSource } from '../replay/scores.ts';
import { table } from './table.ts';

/** So many nodes are listed, those that were cut most first. */
const MOST_NODES = 12;

/** What is said of one of the two policies. */
export interface TrialAnswer {
  readonly policy: string;
  readonly rules: readonly string[];
  readonly expected: Expected | null;
  readonly measured: MeshFigures;
}

/** What a replay found, the two policies side by side. */
export function replayText(
  answers: readonly TrialAnswer[],
  { epochs, nodeIds }: ScoreSource,
): string {
  const column = (of: (one: TrialAnswer) => string) => answers.map(of);
  const rows = [
    ['', ...column((one) => one.policy)],
    ['false cuts a day', ...column(falseCuts)],
    ['  by formula', ...column(({ expected }) => number(expected?.false_cuts_a_day))],
    [
      'epochs between false cuts of a node, by formula',
      ...column((one) => number(one.expected?.good_run)),
    ],
    [
      'delay until a bad node is out, mean, epochs',
      ...column((one) => number(one.measured.delay_mean)),
    ],
    [
      '  p50, p90',
      ...column(
        ({ measured: { delay_p50, delay_p90 } }) => `${number(delay_p50)}, ${number(delay_p90)}`,
      ),
    ],
    [
      '  by formula, of one that is bad from the start of an epoch',
      ...column((one) => number(one.expected?.bad_run)),
    ],
    ['turned good again uncut', ...column((one) => number(one.measured.missed))],
    ['share of bad epochs as a member', ...column((one) => number(one.measured.bad_member_share))],
    ['  by formula, in the long run', ...column((one) => number(one.expected?.bad_member_share))],
    ['cuts', ...column((one) => String(one.measured.cuts))],
    ['most in one epoch', ...column((one) => String(one.measured.worst_epoch))],
    ['epochs frozen by the brake', ...column((one) => String(one.measured.frozen_epochs))],
  ];
  return [
    `${nodeIds.length} nodes, ${epochs} epochs`,
    ...answers.flatMap((one) => one.rules.map((rule) => `${one.policy}: ${rule}`)),
    '',
    table(rows),
    '',
    nodesText(answers),
  ].join('\n');
}

function nodesText(answers: readonly TrialAnswer[]): string {
  const [first, second] = answers.map((one) => one.measured.nodes);
  const order = first!
    .map((one, i) => ({ one, other: second![i]! }))
    .toSorted((a, b) => b.one.cuts + b.other.cuts - a.one.cuts - a.other.cuts)
    .slice(0, MOST_NODES);
  const rows = order.map(({ one, other }) => [
    one.node,
    ...[one, other].flatMap((node) => [
      node.member_share.toFixed(4),
      String(node.cuts),
      node.false_cuts === null ? '-' : String(node.false_cuts),
      String(node.epochs_out),
      number(node.delay_p50),
    ]),
  ]);
  const head = ['MEMBER', 'CUTS', 'FALSE', 'OUT', 'DELAY'];
  return table([['NODE', ...head, ...head], ...rows]);
}

function falseCuts({ measured }: TrialAnswer): string {
  const { false_cuts_a_day, interval } = measured;
  if (false_cuts_a_day === null || interval === null) return '-';
  return `${number(false_cuts_a_day)} (${number(interval[0])} to ${number(interval[1])})`;
}

/** Three digits that matter. */
function number(value: number | null | undefined): string {
  if (value === null || value === undefined) return '-';
  if (value === 0) return '0';
  if (!Number.isFinite(value)) return 'never';
  return value >= 1e6 || value < 1e-3
    ? value.toExponential(1)
    : String(Number(value.toPrecision(3)));
}

const RULES: readonly (readonly [string, CutParameters, reports: number])[] = [
  ['the last score', { kind: 'k_of_n', of: 1, failed: 1 }, 1],
  ['mean of 6 scores', { kind: 'k_of_n', of: 1, failed: 1 }, 6],
  ['2 in a row', { kind: 'k_of_n', of: 2, failed: 2 }, 1],
  ['2 of 3', { kind: 'k_of_n', of: 3, failed: 2 }, 1],
  ['3 of 5', { kind: 'k_of_n', of: 5, failed: 3 }, 1],
  ['CUSUM 0.15', { kind: 'cusum', ref: 0.7, h: 0.15 }, 1],
  ['CUSUM 0.15 of the mean of 6', { kind: 'cusum', ref: 0.7, h: 0.15 }, 6],
];

const MODELS: readonly (readonly [mean: number, deviation: number])[] = [
  [0.85, 0.05],
  [0.9, 0.1],
  [0.85, 0.1],
  [0.6, 0.05],
  [0.65, 0.05],
  [0.65, 0.1],
  [0.5, 0.05],
  [0.5, 0.1],
];

/** Epochs until a rule with threshold 0.70 cuts, by formula, for normal scores. */
export function runLengthText(): string {
  const rows = RULES.map(([name, cut, reports]) => [
    name,
    ...MODELS.map(([mean, deviation]) => {
      const model: ValueModel = { kind: 'normal', mean, deviation: deviation / Math.sqrt(reports) };
      return number(runLength(cut, 0.7, model));
    }),
  ]);
  const head = MODELS.map(([mean, deviation]) => `${mean}/${deviation}`);
  return `epochs until a node of that mean and deviation is cut, threshold 0.70\n${table([['RULE', ...head], ...rows])}`;
}
