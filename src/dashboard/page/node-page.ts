import { useMemo } from 'preact/hooks';
import type { AlignedData } from 'uplot';
import type { EpochView, NodeDetail, NodeHistory, NodeView } from '../documents.ts';
import { dateTime, duration, score } from './format.ts';
import { html } from './html.ts';
import { lookingSeries } from './looking-series.ts';
import { Plot, type PlotColours } from './plot.ts';
import { ProofButton } from './proof-button.ts';
import { NodeReach } from './reach.ts';
import { useAnswer, useNow, usePageState } from './state.ts';
import { MARKS, standing, WORDS } from './verdict.ts';

/** One node: its scores over time, what was decided about it, and what would bring it back. */
export function NodePage({ id }: { id: string }) {
  const { epoch, nodes } = usePageState();
  const node = nodes.get(id);
  const path = `/api/nodes/${encodeURIComponent(id)}`;
  const key = `${epoch!.epoch}.${epoch!.version} ${node?.observedAt} ${node?.latestAt}`;
  const { answer, failure } = useAnswer<NodeHistory>(path, key);
  if (node === undefined && answer?.verdicts.length === 0) {
    return html`<h1>${id}</h1><p>There is no such node, and there was none that is remembered. <a href="#/mesh">Back to the mesh</a></p>`;
  }
  return html`
    <h1>${id}</h1>
    ${node ? html`<${Present} node=${node} detail=${answer?.present ?? undefined} epoch=${epoch} />` : html`<p>It is no longer enrolled. This is what is remembered.</p>`}
    ${failure && html`<p class="failure">${failure}</p>`}
    ${answer && html`${node && html`<${NodeReach} id=${id} history=${answer} />`}<${Scores} history=${answer} epoch=${epoch} /><${Verdicts} history=${answer} />`}
  `;
}

interface PresentProps {
  node: NodeView;
  /** Undefined until the controller has told it. */
  detail: NodeDetail | undefined;
  epoch: EpochView;
}

function Present({ node, detail, epoch }: PresentProps) {
  const now = useNow();
  const how = standing(node, epoch, now);
  return html`
    <p class="summary"><span class=${`mark ${how}`} aria-hidden="true">${MARKS[how]}</span> <b>${WORDS[how]}</b>
      ${node.sinceEpoch !== null ? ` since epoch ${node.sinceEpoch}` : ''}${detail && `, ${detail.address}. ${detail.explanation}`}</p>
    ${detail && !node.allowed && html`<p>${wayBack(node, detail, epoch, now)}</p>`}
    ${detail && html`<${Suites} detail=${detail} now=${now} />`}`;
}

function Suites({ detail, now }: { detail: NodeDetail; now: number }) {
  return html`
    <div class="scroll" tabindex="0" role="region" aria-label="Suites"><table>
      <thead><tr><th scope="col">Suite</th><th scope="col">Score</th><th scope="col">Samples</th><th scope="col">Age</th><th scope="col">Passed</th></tr></thead>
      <tbody>${detail.suites.map(
        (suite, i) => html`<tr>
        <th scope="row">${suite.suite}</th><td>${score(suite.score)}</td><td>${suite.samples ?? '–'}</td>
        <td>${suite.observedAt === null ? '–' : duration(now - suite.observedAt)}</td><td>${suite.passed ? 'yes' : 'no'}</td>
      </tr>${detail.rules[i] !== undefined && html`<tr class="rule"><td class="why" colspan="5">${detail.rules[i]}</td></tr>`}`,
      )}</tbody>
    </table></div>`;
}

/** What would have to happen for it to be back. */
function wayBack(node: NodeView, detail: NodeDetail, epoch: EpochView, now: number): string {
  const { suites, rules, backInEpochs } = detail;
  const next = `The next epoch decides in ${duration(epoch.nextRotationAt - now)}.`;
  if (node.reason === 'no_config_fetched') return `It has to reach the controller itself. ${next}`;
  const failing = suites.flatMap(({ suite, passed }, i) =>
    passed ? [] : `${suite}: ${rules[i] ?? 'a score'}`,
  );
  if (backInEpochs !== null && backInEpochs > 1) {
    const earliest = `It can be back in ${backInEpochs} epochs at the earliest.`;
    return `To be back it must pass ${failing.join('; ') || 'as it does now'}. ${earliest}`;
  }
  if (failing.length === 0) return `Its scores would do now. ${next}`;
  return `To be back it must pass ${failing.join('; ')}. ${next}`;
}

/** Scores of one suite by time, with the threshold; a line of its own for each who signed them. */
function Scores({ history, epoch }: { history: NodeHistory; epoch: EpochView }) {
  const suites = [...new Set(history.scores.map((one) => one.suite))].sort();
  if (suites.length === 0) return html`<h2>Scores</h2><p>No score was accepted yet.</p>`;
  return suites.map(
    (suite) =>
      html`<h2>Scores: ${suite}</h2><${SuitePlot} key=${suite} suite=${suite} history=${history} threshold=${epoch.threshold} />`,
  );
}

interface SuitePlotProps {
  suite: string;
  history: NodeHistory;
  threshold: number;
}

function SuitePlot({ suite, history, threshold }: SuitePlotProps) {
  const points = history.scores.filter((one) => one.suite === suite).toReversed();
  const signers = [...new Set(points.map((one) => one.signer))].sort();
  const last = points.at(-1)!;
  const data = useMemo(
    (): AlignedData => [
      points.map((one) => one.observedAt / 1000),
      points.map(() => threshold),
      ...signers.map((signer) => points.map((one) => (one.signer === signer ? one.score : null))),
    ],
    [last.observedAt, points.length, threshold],
  );
  const options = (colours: PlotColours) => ({
    scales: { y: { range: [0, 1] as [number, number] } },
    axes: [
      { stroke: colours.text, grid: { stroke: colours.grid, width: 1 } },
      { stroke: colours.text, grid: { stroke: colours.grid, width: 1 } },
    ],
    series: [
      {},
      { label: 'threshold', stroke: colours.line, dash: [6, 4], points: { show: false } },
      ...signers.map((signer, i) =>
        lookingSeries(i, signers.length === 1 ? 'score' : `by ${signer.slice(0, 8)}`),
      ),
    ],
  });
  const below = points.filter((one) => one.score < threshold).length;
  const label = `${points.length} scores of ${suite}, ${below} below ${threshold}; the last is ${score(last.score)}.`;
  return html`<${Plot} label=${label} data=${data} options=${options} /><p class="caption">${label}</p>`;
}

/** Rows that are drawn: runs of the same verdict are one. */
const RUNS = 50;

function Verdicts({ history }: { history: NodeHistory }) {
  const runs: { first: NodeHistory['verdicts'][number]; last: number }[] = [];
  for (const one of history.verdicts) {
    const run = runs.at(-1);
    if (run && run.first.allowed === one.allowed && run.first.reason === one.reason) {
      run.first = one;
    } else {
      runs.push({ first: one, last: one.epoch });
    }
  }
  if (runs.length === 0) return html`<h2>Verdicts</h2><p>No epoch has decided about it yet.</p>`;
  return html`<h2 id="verdicts">Verdicts</h2>
    <p class="caption">A proof is a file with all that shows a verdict to be in the record and to be right:${' '}
      <code>meshnet log check FILE --mesh ID</code></p>
    <div class="scroll" tabindex="0" role="region" aria-labelledby="verdicts"><table>
      <thead><tr><th scope="col">Epochs</th><th scope="col">From</th><th scope="col">Verdict</th><th scope="col">Why, at first</th><th scope="col">Proof</th></tr></thead>
      <tbody>${runs.slice(0, RUNS).map(
        ({ first, last }) => html`<tr>
        <th scope="row">${first.epoch === last ? first.epoch : `${first.epoch} to ${last}`}</th>
        <td>${dateTime(first.at)}</td><td class=${first.allowed ? 'in' : 'out'}>${first.allowed ? 'member' : 'denied'}</td><td class="why">${first.explanation}</td>
        <td><${ProofButton} key=${last} id=${history.id} epoch=${last} /></td>
      </tr>`,
      )}</tbody>
    </table></div>`;
}
