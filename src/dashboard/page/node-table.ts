import { useState } from 'preact/hooks';
import type { NodeView } from '../documents.ts';
import { count, duration, score } from './format.ts';
import { html } from './html.ts';
import { isUnreached, reachWord } from './reach.ts';
import { MARKS, type Standing } from './verdict.ts';

/** Rows that are drawn at once. */
const ROWS = 50;

export interface NodeTableProps {
  /** In the order of the rows. */
  readonly ids: readonly string[];
  readonly nodes: ReadonlyMap<string, NodeView>;
  readonly standings: ReadonlyMap<string, Standing>;
  readonly now: number;
}

/** All nodes, a page at a time: the matrix in words, for the keyboard and for who does not see it. */
export function NodeTable({ ids, nodes, standings, now }: NodeTableProps) {
  const [filter, setFilter] = useState('');
  const [wanted, setPage] = useState(0);
  const found = ids.filter((id) => id.includes(filter.trim()));
  const last = Math.max(0, Math.ceil(found.length / ROWS) - 1);
  const page = Math.min(wanted, last);
  const from = page * ROWS;
  const shown = found.slice(from, from + ROWS);
  const search = (event: InputEvent) => {
    setFilter((event.target as HTMLInputElement).value);
    setPage(0);
  };
  return html`
    <h2 id="all">All nodes</h2>
    <label>Name contains <input type="search" value=${filter} onInput=${search} /></label>
    <div class="scroll" tabindex="0" role="region" aria-labelledby="all">
      <table>
        <thead><tr><th scope="col">Node</th><th scope="col">Verdict</th><th scope="col">Score</th><th scope="col">Age</th><th scope="col">Since epoch</th><th scope="col">Reached by</th><th scope="col">Why</th></tr></thead>
        <tbody>
          ${shown.map((id) => html`<${Row} key=${id} node=${nodes.get(id)} standing=${standings.get(id)} now=${now} />`)}
        </tbody>
      </table>
    </div>
    ${found.length === 0 ? html`<p>No node has a name that contains “${filter}”.</p>` : ''}
    ${
      last > 0 &&
      html`<nav class="pages" aria-label="Pages of the table">
        <button type="button" aria-disabled=${page === 0} onClick=${() => setPage(Math.max(0, page - 1))}>Closer to the line</button>
        <span role="status">${from + 1} to ${from + shown.length} of ${count(found.length, 'node')}</span>
        <button type="button" aria-disabled=${page === last} onClick=${() => setPage(Math.min(last, page + 1))}>Farther from it</button>
      </nav>`
    }
  `;
}

interface RowProps {
  readonly node: NodeView;
  readonly standing: Standing;
  readonly now: number;
}

function Row({ node, standing, now }: RowProps) {
  const age = node.observedAt === null ? '–' : duration(now - node.observedAt);
  return html`<tr class=${standing}>
    <th scope="row"><a href=${`#/node/${encodeURIComponent(node.id)}`}>${node.id}</a></th>
    <td class="verdict"><span class=${`mark ${standing}`} aria-hidden="true">${MARKS[standing]}</span> ${node.allowed ? 'member' : standing === 'waiting' ? 'waits' : 'denied'}</td>
    <td>${score(node.score)}</td><td>${age}</td><td>${node.sinceEpoch ?? '–'}</td><td class=${isUnreached(node) ? 'out' : ''}>${reachWord(node)}</td><td class="why">${node.explanation ?? 'Passed.'}</td>
  </tr>`;
}
