import { useMemo } from 'preact/hooks';
import type { AlignedData } from 'uplot';
import type { ReplayTrial, ReplayView } from '../documents.ts';
import { count, dateTime, duration } from './format.ts';
import { html } from './html.ts';
import { Plot, type PlotColours } from './plot.ts';

/** Nodes that are listed: those that the two policies treat most differently first. */
const MAX_NODES = 100;

/** What the policy in force and the proposed one would have done. */
export function ReplayResult({ replay }: { replay: ReplayView }) {
  const { from, epochs, epochS, scores, isAll, inForce, proposed } = replay;
  const older = isAll ? '' : ' Older ones were left out.';
  return html`<h2>Over the past</h2>
    <p class="summary">${count(epochs, 'epoch')} of ${duration(epochS * 1000)} from ${dateTime(from)} on,
      ${' '}${count(scores, 'score')}.${older} Every node begins as a newcomer.</p>
    <div class="scroll" tabindex="0" role="region" aria-label="Both policies"><table>
      <thead><tr><th scope="col">Policy</th><th scope="col">Cuts</th><th scope="col">Nodes cut</th><th scope="col">Most in one epoch</th><th scope="col">Epochs frozen by the brake</th></tr></thead>
      <tbody><${TrialRow} name="in force" trial=${inForce} /><${TrialRow} name="proposed" trial=${proposed} /></tbody>
    </table></div>
    <${NodeTable} inForce=${inForce} proposed=${proposed} />
    <${Curve} inForce=${inForce} proposed=${proposed} />`;
}

function TrialRow({ name, trial }: { name: string; trial: ReplayTrial }) {
  const cut = trial.nodes.filter((one) => one.cuts > 0).length;
  return html`<tr><th scope="row">${name}</th><td>${trial.cuts}</td><td>${cut}</td><td>${trial.worstEpoch}</td><td>${trial.frozenEpochs}</td></tr>`;
}

interface Both {
  inForce: ReplayTrial;
  proposed: ReplayTrial;
}

function NodeTable({ inForce, proposed }: Both) {
  const rows = inForce.nodes
    .map((before, i) => ({ before, after: proposed.nodes[i]! }))
    .filter(
      ({ before, after }) => before.cuts + after.cuts > 0 || before.epochsOut !== after.epochsOut,
    )
    .sort((a, b) => difference(b) - difference(a));
  if (rows.length === 0) return html`<p>Neither would have cut anybody.</p>`;
  const more = rows.length > MAX_NODES ? ` The first ${MAX_NODES} of ${rows.length}.` : '';
  return html`<h2 id="would-be">Who would have been cut, or kept out</h2>
    <p class="caption">Cuts, and the share of epochs as a member, under the policy in force and under the proposed one.${more}</p>
    <div class="scroll" tabindex="0" role="region" aria-labelledby="would-be"><table>
      <thead><tr><th scope="col">Node</th><th scope="col">Cuts in force</th><th scope="col">Cuts proposed</th><th scope="col">Member in force</th><th scope="col">Member proposed</th></tr></thead>
      <tbody>${rows.slice(0, MAX_NODES).map(
        ({ before, after }) => html`<tr>
        <th scope="row"><a href=${`#/node/${encodeURIComponent(before.node)}`}>${before.node}</a></th>
        <td>${before.cuts}</td><td class=${after.cuts > before.cuts ? 'out' : ''}>${after.cuts}</td>
        <td>${share(before.memberShare)}</td><td class=${after.memberShare < before.memberShare ? 'out' : ''}>${share(after.memberShare)}</td>
      </tr>`,
      )}</tbody>
    </table></div>`;
}

type Row = { before: ReplayTrial['nodes'][number]; after: ReplayTrial['nodes'][number] };

function difference({ before, after }: Row): number {
  return Math.abs(after.epochsOut - before.epochsOut) + Math.abs(after.cuts - before.cuts);
}

function share(value: number): string {
  return `${(value * 100).toFixed(1)} %`;
}

/** What a threshold costs: cuts over the same past, with all suites at each of several thresholds. */
function Curve({ inForce, proposed }: Both) {
  const points = proposed.curve;
  const data = useMemo(
    (): AlignedData => [
      points.map((one) => one.threshold),
      inForce.curve.map((one) => one.cuts),
      points.map((one) => one.cuts),
    ],
    [proposed],
  );
  const options = (colours: PlotColours) => {
    const axis = { stroke: colours.text, grid: { stroke: colours.grid, width: 1 } };
    return {
      scales: {
        x: { time: false },
        y: { range: (_: unknown, __: number, most: number) => [0, most + 1] as [number, number] },
      },
      axes: [axis, axis],
      series: [
        { label: 'threshold' },
        { label: 'cuts by the rule in force', stroke: colours.member, width: 2 },
        { label: 'by the proposed', stroke: colours.denied, width: 2, dash: [6, 4] },
      ],
    };
  };
  const label = `Cuts at thresholds from ${points[0]!.threshold} to ${points.at(-1)!.threshold}, all else as it is.`;
  return html`<h2 id="curve">Operating curve</h2>
    <${Plot} label=${label} data=${data} options=${options} />
    <p class="caption">${label}</p>
    <div class="scroll" tabindex="0" role="region" aria-labelledby="curve"><table>
      <thead><tr><th scope="col">Threshold</th>${points.map((one) => html`<th scope="col">${one.threshold}</th>`)}</tr></thead>
      <tbody>
        <tr><th scope="row">in force</th>${inForce.curve.map((one) => html`<td>${one.cuts}</td>`)}</tr>
        <tr><th scope="row">proposed</th>${points.map((one) => html`<td>${one.cuts}</td>`)}</tr>
      </tbody>
    </table></div>`;
}
