import type { Policy, SuiteRule } from '../controller/policy.ts';
import { Figures, type MeshFigures } from './figures.ts';
import type { Trial } from './run.ts';
import type { ScoreSource } from './scores.ts';
import { circle, document, escaped, line, text } from './svg.ts';

const THRESHOLDS = [0.6, 0.64, 0.66, 0.68, 0.7, 0.72, 0.74, 0.76, 0.8];
const COLOURS = ['#246', '#c63'];
const [WIDTH, HEIGHT, LEFT, BOTTOM] = [640, 420, 60, 380];

interface Curve {
  readonly name: string;
  readonly points: readonly { readonly threshold: number; readonly figures: Figures }[];
}

/** What a rule trades: false cuts a day against delay, over thresholds. */
export class OperatingCurve {
  /** A trial of each policy at each threshold, to be run on the source. */
  readonly trials: Trial[] = [];
  private readonly curves: Curve[] = [];
  private readonly source: ScoreSource;
  private readonly threshold: number;
  private readonly epochMs: number;
  private readonly thresholds: readonly number[];

  /** `threshold`: what counts as good; `thresholds`: where it is tried. */
  constructor(
    source: ScoreSource,
    threshold: number,
    epochMs: number,
    thresholds: readonly number[] = THRESHOLDS,
  ) {
    this.thresholds = thresholds;
    this.source = source;
    this.threshold = threshold;
    this.epochMs = epochMs;
  }

  add(name: string, policy: Policy): void {
    const { epochMs } = this;
    const points = this.thresholds.map((threshold) => {
      const figures = new Figures(this.source, this.threshold, epochMs);
      const suites = policy.suites.map((rule) => withThreshold(rule, threshold));
      this.trials.push({ policy: { ...policy, suites }, epochMs, onEpoch: figures.onEpoch });
      return { threshold, figures };
    });
    this.curves.push({ name, points });
  }

  /** What was found at each threshold, by policy in the order in which they were added. */
  results(): { readonly threshold: number; readonly figures: MeshFigures }[][] {
    return this.curves.map(({ points }) =>
      points.map(({ threshold, figures }) => ({ threshold, figures: figures.result() })),
    );
  }

  svg(): string {
    const curves = this.curves.map(({ name, points }) => ({ name, points: points.map(measured) }));
    const all = curves.flatMap((one) => one.points);
    const most = Math.max(...all.map((one) => one.falseCuts), 1);
    const longest = Math.max(...all.map((one) => one.delay), 1);
    const x = (delay: number) => LEFT + (delay / longest) * (WIDTH - LEFT - 40);
    // Logarithmic, from a tenth of a cut a day; none at all lies on the axis.
    const y = (cuts: number) =>
      BOTTOM - (Math.log10(Math.max(cuts, 0.1) * 10) / Math.log10(most * 10 || 10)) * (BOTTOM - 40);
    const at = (one: (typeof all)[number]) => [x(one.delay), y(one.falseCuts)] as const;
    const parts = curves.flatMap(({ name, points }, i) => {
      const colour = COLOURS[i % COLOURS.length]!;
      return [
        line(points.map(at), colour),
        ...points.flatMap((one) => [
          circle(at(one), colour),
          text(x(one.delay) + 5, y(one.falseCuts) - 4, one.threshold.toFixed(2)),
        ]),
        text(LEFT + 10 + i * 260, 16, `<tspan fill="${colour}">&#9679;</tspan> ${escaped(name)}`),
      ];
    });
    const axes = [
      line(
        [
          [LEFT, 30],
          [LEFT, BOTTOM],
          [WIDTH - 20, BOTTOM],
        ],
        '#000',
      ),
      text(WIDTH / 2, HEIGHT - 10, `delay, mean, up to ${longest.toFixed(1)} epochs`),
      text(4, 44, `${Math.round(most)}`),
      text(4, BOTTOM, '&#8804; 0.1'),
      text(4, 28, 'false cuts a day'),
    ];
    return document(WIDTH, HEIGHT, [...axes, ...parts]);
  }
}

function measured({ threshold, figures }: Curve['points'][number]) {
  const { false_cuts_a_day, delay_mean } = figures.result();
  return { threshold, falseCuts: false_cuts_a_day ?? 0, delay: delay_mean ?? 0 };
}

/** The rule moved by as much as its threshold is. */
function withThreshold(rule: SuiteRule, threshold: number): SuiteRule {
  const by = threshold - rule.threshold;
  const { cut } = rule;
  return {
    ...rule,
    threshold,
    readmit: Math.min(1, rule.readmit + by),
    cut: cut.kind === 'cusum' ? { ...cut, ref: Math.min(1, cut.ref + by) } : cut,
  };
}
