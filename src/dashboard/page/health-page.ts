import type { HealthView } from '../documents.ts';
import { dateTime, duration } from './format.ts';
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
    <dl>
      <dt>Controller</dt><dd>${state}</dd>
      <dt>Mesh</dt><dd><code>${view.meshId}</code></dd>
      <dt>Epoch</dt><dd>${view.epoch}, begun ${dateTime(view.startedAt)}, ${duration(view.epochS * 1000)} long</dd>
      <dt>Nodes</dt><dd>${nodes.size}</dd>
      ${answer && html`<${Details} health=${answer} />`}
    </dl>
    ${answer && html`<${Problems} health=${answer} />`}
  `;
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
      <thead><tr><th scope="col">Code</th><th scope="col">How often</th></tr></thead>
      <tbody>${health.problems.map(({ code, count }) => html`<tr><th scope="row">${code}</th><td>${count.toLocaleString()}</td></tr>`)}</tbody>
    </table></div>`;
}
