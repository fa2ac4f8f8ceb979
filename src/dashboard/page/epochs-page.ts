import { useMemo } from 'preact/hooks';
import uPlot, { type AlignedData } from 'uplot';
import type { ChangeView, EpochPoint, MarkView } from '../documents.ts';
import { count, dateTime } from './format.ts';
import { html } from './html.ts';
import { Plot, type PlotColours } from './plot.ts';
import { useAnswer, usePageState } from './state.ts';

/** Nodes are counted in whole ones. */
const WHOLE = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000];

/** Epochs over time: how many were in and out, who came and went, and why. */
export function EpochsPage() {
  const { epoch } = usePageState();
  const key = `${epoch!.epoch}.${epoch!.version}`;
  const epochs = useAnswer<{ epochs: EpochPoint[] }>('/api/epochs?limit=500', key);
  const changes = useAnswer<{ changes: ChangeView[]; marks: MarkView[] }>(
    '/api/changes?limit=200',
    key,
  );
  const failure = epochs.failure ?? changes.failure;
  return html`
    <h1>Epochs</h1>
    ${failure && html`<p class="failure">${failure}</p>`}
    ${epochs.answer && html`<${Timeline} epochs=${epochs.answer.epochs} />`}
    ${epochs.answer && html`<${Times} epochs=${epochs.answer.epochs} />`}
    ${changes.answer && html`<${Marks} marks=${changes.answer.marks} />`}
    ${changes.answer && html`<${ChangeTable} changes=${changes.answer.changes} />`}
  `;
}

function Timeline({ epochs }: { epochs: readonly EpochPoint[] }) {
  const oldestFirst = epochs.toReversed();
  const newest = epochs[0];
  const data = useMemo(
    (): AlignedData => [
      oldestFirst.map((one) => one.at / 1000),
      oldestFirst.map((one) => one.members),
      oldestFirst.map((one) => one.denied),
    ],
    [newest?.epoch, epochs.length],
  );
  if (newest === undefined) return html`<p>No epoch has been decided yet.</p>`;
  const paths = uPlot.paths.stepped!({ align: 1 });
  const options = (colours: PlotColours) => ({
    scales: {
      y: { range: (_: uPlot, __: number, max: number) => [0, max + 1] as [number, number] },
    },
    axes: [
      { stroke: colours.text, grid: { stroke: colours.grid, width: 1 } },
      { stroke: colours.text, grid: { stroke: colours.grid, width: 1 }, incrs: WHOLE },
    ],
    series: [
      {},
      { label: 'members', stroke: colours.member, width: 2, paths },
      { label: 'denied', stroke: colours.denied, width: 2, dash: [6, 4], paths },
    ],
  });
  const shut = epochs.reduce((sum, one) => sum + one.shutOut, 0);
  const label =
    `${count(epochs.length, 'epoch')}, the last with ${count(newest.members, 'member')} and ` +
    `${newest.denied} denied; ${count(shut, 'exclusion')} among them.`;
  return html`<${Plot} label=${label} data=${data} options=${options} /><p class="caption">${label}</p>`;
}

/** How long it took until each was on the disk, and told to all. */
function Times({ epochs }: { epochs: readonly EpochPoint[] }) {
  const timed = epochs.filter((one) => one.pushMs !== null).reverse();
  const data = useMemo(
    (): AlignedData => [
      timed.map((one) => one.at / 1000),
      timed.map((one) => one.commitMs),
      timed.map((one) => one.pushMs),
    ],
    [timed.at(-1)?.at, timed.length],
  );
  const last = timed.at(-1);
  if (last === undefined) return null;
  const options = (colours: PlotColours) => ({
    scales: {
      y: {
        range: (_: uPlot, __: number, max: number) =>
          [0, Math.max(1, max * 1.1)] as [number, number],
      },
    },
    axes: [
      { stroke: colours.text, grid: { stroke: colours.grid, width: 1 } },
      { stroke: colours.text, grid: { stroke: colours.grid, width: 1 } },
    ],
    series: [
      {},
      { label: 'to the disk, ms', stroke: colours.line, width: 2 },
      { label: 'and told to all, ms', stroke: colours.member, width: 2, dash: [6, 4] },
    ],
  });
  const slowest = Math.max(...timed.map((one) => one.commitMs! + one.pushMs!));
  const label =
    `The last epoch was on the disk after ${milliseconds(last.commitMs!)}, and ${milliseconds(last.pushMs!)} ` +
    `later it was written to the last stream; the slowest of ${timed.length} took ${milliseconds(slowest)} in all.`;
  return html`<h2>From decision to the last push</h2><${Plot} label=${label} data=${data} options=${options} height=${180} />
    <p class="caption">${label}</p>`;
}

const milliseconds = (ms: number) => `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;

function Marks({ marks }: { marks: readonly MarkView[] }) {
  if (marks.length === 0) return null;
  return html`<h2 id="marks">Brake and policy</h2>
    <div class="scroll" tabindex="0" role="region" aria-labelledby="marks"><table>
      <thead><tr><th scope="col">When</th><th scope="col">What</th><th scope="col">How</th></tr></thead>
      <tbody>${marks.map(
        (mark) => html`<tr key=${`${mark.at} ${mark.sentence}`}>
        <td>${dateTime(mark.at)}</td><th scope="row">${mark.what}</th><td class="why">${mark.sentence}</td></tr>`,
      )}</tbody>
    </table></div>`;
}

function ChangeTable({ changes }: { changes: readonly ChangeView[] }) {
  if (changes.length === 0) return html`<h2>Changes</h2><p>Nobody was let in or shut out yet.</p>`;
  return html`<h2 id="changes">Changes</h2>
    <div class="scroll" tabindex="0" role="region" aria-labelledby="changes"><table>
      <thead><tr><th scope="col">Node</th><th scope="col">Epoch</th><th scope="col">When</th><th scope="col">What</th><th scope="col">Why</th></tr></thead>
      <tbody>${changes.map(
        (change) => html`<tr key=${`${change.epoch} ${change.node}`}>
        <th scope="row"><a href=${`#/node/${encodeURIComponent(change.node)}`}>${change.node}</a></th><td>${change.epoch}</td>
        <td>${dateTime(change.at)}</td><td class=${change.what === 'let in' ? 'in' : 'out'}>${change.what}</td><td class="why">${change.explanation}</td>
      </tr>`,
      )}</tbody>
    </table></div>`;
}
