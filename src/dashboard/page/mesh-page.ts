import { useRef } from 'preact/hooks';
import type { ChangeView, EpochView, NodeView } from '../documents.ts';
import { clockTime, count, duration, score } from './format.ts';
import { html } from './html.ts';
import { NodeMatrix } from './node-matrix.ts';
import { NodeTable } from './node-table.ts';
import { isUnreached, ReachTable, reachWord } from './reach.ts';
import { useAnswer, useNow, usePageState } from './state.ts';
import { MARKS, margin, type Standing, standing, UNREACHED, WORDS } from './verdict.ts';

/** Up to so many nodes have room for name and score; more are squares. */
const CARDS = 40;
/** Who is how close to the line is looked at again after this, ms: what moves cannot be read or hit. */
const RANKING_MS = 5000;

/** Who is in, who is out, who is close to the line. */
export function MeshPage() {
  const { epoch, nodes, ids } = usePageState();
  const now = useNow();
  const view = epoch!;
  const standings = new Map<string, Standing>();
  const has = { member: 0, close: 0, denied: 0, waiting: 0 };
  let unreached = 0;
  for (const node of nodes.values()) {
    const how = standing(node, view, now);
    standings.set(node.id, how);
    has[how]++;
    if (isUnreached(node)) unreached++;
  }
  const ranked = useRanking(standings, now);
  if (nodes.size === 0)
    return html`<h1>Mesh</h1>
    <p>Nobody is enrolled yet. <code>meshnet node add NAME</code> makes a join token.</p>`;
  return html`
    <h1>Mesh</h1>
    <p class="summary">
      <b>${count(has.member + has.close, 'member')}</b>, <b>${count(has.denied, 'node')}</b> denied,
      ${' '}${count(has.close, 'member')} close to the line${has.waiting > 0 ? `, ${has.waiting} not yet decided` : ''}.
      ${unreached > 0 ? ` ${count(unreached, 'member')} out of reach of others.` : ''}
      ${' '}A member scores at least ${view.threshold} and its score is at most ${duration(view.freshnessS * 1000)} old.
    </p>
    ${
      nodes.size <= CARDS
        ? html`<ul class="cards" aria-label="Nodes">
          ${ranked.map((id) => html`<${Card} key=${id} node=${nodes.get(id)} standing=${standings.get(id)} />`)}
        </ul>`
        : html`<${NodeMatrix} ids=${ids} nodes=${nodes} standings=${standings} />`
    }
    <p class="legend">
      ${(['member', 'close', 'denied', 'waiting'] as const).map((kind) => html`<span class=${`mark ${kind}`}>${MARKS[kind]}</span> ${WORDS[kind]} ${' '}`)}
      <span class="mark unreached">${UNREACHED}</span> out of reach of others
    </p>
    <${Changes} epoch=${view} />
    <${ReachTable} ids=${ids} />
    <${NodeTable} ids=${ranked} nodes=${nodes} standings=${standings} now=${now} />
  `;
}

const ORDER: Readonly<Record<Standing, number>> = { denied: 0, close: 1, waiting: 2, member: 3 };

/** Ids, those that are out first, then those nearest to the line: as it was at most five seconds ago. */
function useRanking(standings: ReadonlyMap<string, Standing>, now: number): readonly string[] {
  const { epoch, nodes, ids } = usePageState();
  const last = useRef<{ key: unknown; at: number; ranked: readonly string[] } | undefined>(
    undefined,
  );
  const key = `${epoch!.epoch}.${epoch!.version}`;
  const isOld = Math.abs(now - (last.current?.at ?? 0)) >= RANKING_MS;
  const isOther = last.current?.key !== key || last.current.ranked.length !== ids.length;
  if (isOld || isOther || !last.current!.ranked.every((id) => nodes.has(id))) {
    const margins = new Map([...nodes].map(([id, node]) => [id, margin(node, epoch!, now)]));
    const place = (id: string) => ORDER[standings.get(id)!];
    const ranked = ids.toSorted((a, b) => place(a) - place(b) || margins.get(a)! - margins.get(b)!);
    last.current = { key, at: now, ranked };
  }
  return last.current!.ranked;
}

function Card({ node, standing }: { node: NodeView; standing: Standing }) {
  const words = WORDS[standing];
  const title = `${node.id}: ${words}, score ${score(node.score)}, reached by ${reachWord(node)}`;
  return html`<li>
    <a class=${standing} href=${`#/node/${encodeURIComponent(node.id)}`} title=${title}>
      <span aria-hidden="true">${MARKS[standing]}</span>
      <b>${node.id}</b> <i>${score(node.score)}</i>${isUnreached(node) && html` <span class="unreached" title="out of reach of others">${UNREACHED}</span>`} <span class="unseen">${words}</span>
    </a>
  </li>`;
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
