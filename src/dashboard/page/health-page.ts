import type { HealthView } from '../documents.ts';
import { dateTime, duration, score } from './format.ts';
import { html } from './html.ts';
import { useAnswer, useNow, usePageState } from './state.ts';

/** The controller itself, and what it refuses. */
export function HealthPage() {
  const { epoch, nodes, awaySince } = usePageState();
  const now = useNow();
  const view = epoch!;
  const tick = Math.floor(now / 5000);
  const { answer, failure } = useAnswer<HealthView>('/api/health', `${tick}`);
  const state =
    awaySince === undefined
      ? (view.notReady ?? 'Epochs are being decided.')
      : 'It does not answer.';
  return html`
    <h1>Health</h1>
    ${failure && html`<p class="failure">${failure}</p>`}
    ${answer && html`<${Alerts} health=${answer} />`}
    <dl>
      <dt>Controller</dt><dd>${state}</dd>
      <dt>Mesh</dt><dd><code>${view.meshId}</code></dd>
      <dt>Epoch</dt><dd>${view.epoch}, begun ${dateTime(view.startedAt)}, ${duration(view.epochS * 1000)} long</dd>
      <dt>Nodes</dt><dd>${nodes.size}</dd>
      ${answer && html`<${Details} health=${answer} />`}
    </dl>
    ${answer && html`<${Runs} health=${answer} now=${now} /><${Evaluators} health=${answer} now=${now} /><${Problems} health=${answer} />`}
  `;
}

function Alerts({ health: { alerts } }: { health: HealthView }) {
  if (alerts.length === 0) return html`<p>Nothing here asks to be looked at.</p>`;
  return html`<ul class="alerts">${alerts.map(
    ({ name, detail }) => html`<li key=${name}><strong>${name}</strong> ${detail}</li>`,
  )}</ul>`;
}

interface Times {
  readonly health: HealthView;
  readonly now: number;
}

/** `at` as how long ago that was. */
const ago = (at: number | null, now: number) => (at === null ? '–' : `${duration(now - at)} ago`);

function Runs({ health: { runs }, now }: Times) {
  if (runs.length === 0) return html`<h2>Benchmarks</h2><p>No node is measured yet.</p>`;
  return html`<h2 id="runs">Benchmarks</h2>
    <p class="caption">How many nodes have a score of each suite that is young enough to count.</p>
    <div class="scroll" tabindex="0" role="region" aria-labelledby="runs"><table>
      <thead><tr><th scope="col">Suite</th><th scope="col">Count</th><th scope="col">Too old</th><th scope="col">None</th><th scope="col">Newest</th><th scope="col">Oldest</th></tr></thead>
      <tbody>${runs.map(
        (one) => html`<tr key=${one.suite}><th scope="row">${one.suite}</th><td>${one.fresh}</td>
        <td class=${one.tooOld > 0 ? 'out' : ''}>${one.tooOld}</td><td class=${one.missing > 0 ? 'out' : ''}>${one.missing}</td>
        <td>${ago(one.newestAt, now)}</td><td>${ago(one.oldestAt, now)}</td></tr>`,
      )}</tbody>
    </table></div>`;
}

function Evaluators({ health: { evaluators }, now }: Times) {
  if (evaluators.length === 0) return null;
  return html`<h2 id="evaluators">Evaluators</h2>
    <p class="caption">How far each is from the median of all about the same nodes; above 0 it is milder.</p>
    <div class="scroll" tabindex="0" role="region" aria-labelledby="evaluators"><table>
      <thead><tr><th scope="col">Key</th><th scope="col">Compared</th><th scope="col">Bias</th><th scope="col">Distance</th><th scope="col">Last word</th></tr></thead>
      <tbody>${evaluators.map(
        (
          one,
        ) => html`<tr key=${one.evaluator}><th scope="row"><code>${one.evaluator}</code></th><td>${one.compared}</td>
        <td>${score(one.bias)}</td><td>${score(one.distance)}</td><td>${ago(one.lastAt, now)}</td></tr>`,
      )}</tbody>
    </table></div>`;
}

function Details({ health }: { health: HealthView }) {
  return html`
    <dt>Running for</dt><dd>${duration(health.uptimeS * 1000)}, version ${health.version}</dd>
    <dt>Nodes connected</dt><dd>${health.streams} hear of a new epoch at once; the others ask for it</dd>
    <dt>Scores accepted</dt><dd>${health.acceptedScores.toLocaleString()}</dd>
    <dt>Rotations, exclusions</dt><dd>${health.rotations.toLocaleString()}, ${health.exclusions.toLocaleString()}, since the start</dd>
    <dt>Memory</dt><dd>${Math.round(health.residentBytes / 2 ** 20)} MB</dd>`;
}

function Problems({ health }: { health: HealthView }) {
  if (health.problems.length === 0)
    return html`<h2>Refused requests</h2><p>None since the start.</p>`;
  return html`<h2 id="refused">Refused requests, since the start</h2>
    <div class="scroll" tabindex="0" role="region" aria-labelledby="refused"><table>
      <thead><tr><th scope="col">Code</th><th scope="col">How often</th><th scope="col">What was answered</th></tr></thead>
      <tbody>${health.problems.map(({ code, title, count }) => html`<tr><th scope="row">${code}</th><td>${count.toLocaleString()}</td><td class="why">${title}</td></tr>`)}</tbody>
    </table></div>`;
}
