import { useState } from 'preact/hooks';
import type { ChangeView, EpochView, NodeView } from '../documents.ts';
import { clockTime, count, duration, score } from './format.ts';
import { html } from './html.ts';
import { useAnswer, useNow, usePageState } from './state.ts';
import { MARKS, margin, type Standing, standing, WORDS } from './verdict.ts';

/** Up to so many nodes have room for name and score; more are squares. */
const CARDS = 40;
/** Rows of the table that are drawn; who looks for others can filter. */
const ROWS = 200;

/** Who is in, who is out, who is close to the line. */
export function MeshPage() {
  const { epoch, nodes } = usePageState();
  const now = useNow();
  const [filter, setFilter] = useState('');
  const view = epoch!;
  const ranked = [...nodes.values()]
    .map((node) => ({ node, standing: standing(node, view, now), margin: margin(node, view, now) }))
    .sort((a, b) => ORDER[a.standing] - ORDER[b.standing] || a.margin - b.margin);
  const has = (kind: Standing) => ranked.filter((one) => one.standing === kind).length;
  const shown = ranked.filter(({ node }) => node.id.includes(filter.trim()));
  if (ranked.length === 0)
    return html`<h1>Mesh</h1>
    <p>Nobody is enrolled yet. <code>meshnet node add NAME</code> makes a join token.</p>`;
  return html`
    <h1>Mesh</h1>
    <p class="summary">
      <b>${count(has('member') + has('close'), 'member')}</b>, <b>${count(has('denied'), 'node')}</b> denied,
      ${' '}${count(has('close'), 'member')} close to the line${has('waiting') > 0 ? `, ${has('waiting')} not yet decided` : ''}.
      ${' '}A member scores at least ${view.threshold} and its score is at most ${duration(view.freshnessS * 1000)} old.
    </p>
    <ul class=${nodes.size <= CARDS ? 'cards' : 'tiles'} aria-label="Nodes">
      ${ranked.map(({ node, standing }) => html`<${Tile} key=${node.id} node=${node} standing=${standing} isCard=${nodes.size <= CARDS} />`)}
    </ul>
    <p class="legend">
      ${(['member', 'close', 'denied', 'waiting'] as const).map((kind) => html`<span class=${`mark ${kind}`}>${MARKS[kind]}</span> ${WORDS[kind]} ${' '}`)}
    </p>
    <${Changes} epoch=${view} />
    <h2 id="all">All nodes</h2>
    <label>Name contains <input type="search" value=${filter} onInput=${(event: InputEvent) => setFilter((event.target as HTMLInputElement).value)} /></label>
    <div class="scroll" tabindex="0" role="region" aria-labelledby="all">
      <table>
        <thead><tr><th scope="col">Node</th><th scope="col">Verdict</th><th scope="col">Score</th><th scope="col">Age</th><th scope="col">Since epoch</th><th scope="col">Why</th></tr></thead>
        <tbody>
          ${shown.slice(0, ROWS).map(({ node, standing }) => html`<${Row} key=${node.id} node=${node} standing=${standing} now=${now} />`)}
        </tbody>
      </table>
    </div>
    ${shown.length > ROWS ? html`<p>The ${ROWS} nearest to the line of ${shown.length.toLocaleString()} are listed.</p>` : ''}
    ${shown.length === 0 ? html`<p>No node has a name that contains “${filter}”.</p>` : ''}
  `;
}

const ORDER: Readonly<Record<Standing, number>> = { denied: 0, close: 1, waiting: 2, member: 3 };

function Tile({ node, standing, isCard }: { node: NodeView; standing: Standing; isCard: boolean }) {
  const words = WORDS[standing];
  const title = `${node.id}: ${words}, score ${score(node.score)}`;
  return html`<li>
    <a class=${standing} href=${`#/node/${encodeURIComponent(node.id)}`} title=${title}>
      <span aria-hidden="true">${MARKS[standing]}</span>
      ${isCard ? html`<b>${node.id}</b> <i>${score(node.score)}</i> <span class="unseen">${words}</span>` : html`<span class="unseen">${title}</span>`}
    </a>
  </li>`;
}

interface RowProps {
  node: NodeView;
  standing: Standing;
  now: number;
}

function Row({ node, standing, now }: RowProps) {
  const observed = node.suites.flatMap((suite) => suite.observedAt ?? []);
  const age = observed.length === 0 ? '–' : duration(now - Math.min(...observed));
  return html`<tr class=${standing}>
    <th scope="row"><a href=${`#/node/${encodeURIComponent(node.id)}`}>${node.id}</a></th>
    <td class="verdict"><span class=${`mark ${standing}`} aria-hidden="true">${MARKS[standing]}</span> ${node.allowed ? 'member' : standing === 'waiting' ? 'waits' : 'denied'}</td>
    <td>${score(node.score)}</td><td>${age}</td><td>${node.sinceEpoch ?? '–'}</td><td class="why">${node.explanation}</td>
  </tr>`;
}

function Changes({ epoch }: { epoch: EpochView }) {
  const { answer, failure } = useAnswer<{ changes: ChangeView[] }>(
    '/api/changes?limit=8',
    `${epoch.epoch}.${epoch.version}`,
  );
  const changes = answer?.changes ?? [];
  return html`<h2>What happened</h2>
    ${failure && html`<p class="failure">${failure}</p>`}
    ${changes.length === 0 && html`<p>Nobody was let in or shut out yet.</p>`}
    <ol class="changes" aria-live="polite">
      ${changes.map(
        (change) => html`<li key=${`${change.epoch} ${change.node}`}>
        <time datetime=${new Date(change.at).toISOString()}>${clockTime(change.at)}</time>
        ${' '}<a href=${`#/node/${encodeURIComponent(change.node)}`}>${change.node}</a>
        ${' '}<b class=${change.what === 'let in' ? 'in' : 'out'}>${change.what}</b>: ${change.explanation}
      </li>`,
      )}
    </ol>`;
}
