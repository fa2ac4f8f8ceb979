import type { NodeHistory, NodeView, PairView, ReachView } from '../documents.ts';
import { clockTime, duration } from './format.ts';
import { html } from './html.ts';
import { useAnswer, useNow, usePageState } from './state.ts';

/** Of the members that asked a node for an echo, how many have had one. */
const WORDS = { all: 'all', some: 'some', none: 'none' } as const;

export function reachWord({ reach }: NodeView): string {
  return reach === null ? '–' : WORDS[reach];
}

/** A member that some or all others do not reach. */
export function isUnreached({ allowed, reach }: NodeView): boolean {
  return allowed && (reach === 'some' || reach === 'none');
}

/** Up to so many nodes, there is room for a column each. */
const FEW = 12;
/** How often (ms) what nodes tell of one another is asked for. */
const ASK_MS = 5000;

/** Who reaches whom, every pair both ways, in a small mesh. */
export function ReachTable({ ids }: { ids: readonly string[] }) {
  return ids.length > 1 && ids.length <= FEW ? html`<${Pairs} ids=${ids} />` : '';
}

function Pairs({ ids }: { ids: readonly string[] }) {
  const { epoch } = usePageState();
  const now = useNow();
  const key = `${epoch!.epoch}.${epoch!.version} ${Math.floor(now / ASK_MS)}`;
  const { answer, failure } = useAnswer<ReachView>('/api/reach', key);
  const told = new Map(answer?.pairs.map((pair) => [`${pair.by} ${pair.node}`, pair]));
  return html`
    <h2 id="pairs">Who reaches whom</h2>
    ${failure && html`<p class="failure">${failure}</p>`}
    <p class="caption">Echoes through the tunnel, as the node of the row tells it. Nobody is judged by them.</p>
    <div class="scroll" tabindex="0" role="region" aria-labelledby="pairs"><table class="pairs">
      <thead><tr><th scope="col">from</th>${ids.map((id) => html`<th scope="col">${id}</th>`)}</tr></thead>
      <tbody>${ids.map(
        (by) => html`<tr><th scope="row">${by}</th>
        ${ids.map((id) => html`<${Cell} pair=${told.get(`${by} ${id}`)} isOwn=${by === id} now=${now} />`)}</tr>`,
      )}</tbody>
    </table></div>`;
}

function Cell({ pair, isOwn, now }: { pair: PairView | undefined; isOwn: boolean; now: number }) {
  if (isOwn) return html`<td class="own"></td>`;
  return html`<td class=${mood(pair)} title=${pair ? since(pair, now) : 'nothing was told'}>${echo(pair)}</td>`;
}

function mood(pair: PairView | undefined): string {
  if (pair === undefined || pair.echo === 'not_asked') return '';
  return pair.echo === 'answered' ? 'in' : 'out';
}

function echo(pair: PairView | undefined): string {
  if (pair === undefined || pair.echo === 'not_asked') return '–';
  if (pair.echo === 'unanswered') return 'no answer';
  return pair.rttMs === null ? 'answered' : `${pair.rttMs.toFixed(pair.rttMs < 10 ? 2 : 0)} ms`;
}

function since({ echo, echoAt }: PairView, now: number): string {
  return echo === 'not_asked' ? 'it was not asked' : `asked ${duration(now - echoAt)} ago`;
}

interface NodeReachProps {
  id: string;
  history: NodeHistory;
}

/** What a node and the others tell of one another: members that do not answer first. */
export function NodeReach({ id, history: { reaches, reachedBy } }: NodeReachProps) {
  const { nodes } = usePageState();
  const now = useNow();
  const out = new Map(reaches.map((pair) => [pair.node, pair]));
  const back = new Map(reachedBy.map((pair) => [pair.by, pair]));
  const others = [...new Set([...out.keys(), ...back.keys()])].sort();
  if (others.length === 0) {
    return html`<h2>Reach</h2><p>Neither this node nor another has told yet whom it reaches.</p>`;
  }
  const silent = (other: string) =>
    [out.get(other), back.get(other)].some((pair) => pair?.echo === 'unanswered') ? 0 : 1;
  const isMember = (other: string) => (nodes.get(other)?.allowed ? 0 : 1);
  others.sort((a, b) => isMember(a) - isMember(b) || silent(a) - silent(b));
  return html`
    <h2 id="reach">Reach</h2>
    <p class="caption">Echoes through the tunnel, as the nodes tell it. Nobody is judged by them.</p>
    <div class="scroll" tabindex="0" role="region" aria-labelledby="reach"><table>
      <thead><tr><th scope="col">Other node</th><th scope="col">${id} has of it</th><th scope="col">It has of ${id}</th><th scope="col">Handshake</th><th scope="col">Path</th></tr></thead>
      <tbody>${others.slice(0, ROWS).map((other) => {
        const [there, here] = [out.get(other), back.get(other)];
        const handshakeAt = there?.handshakeAt ?? here?.handshakeAt ?? null;
        return html`<tr>
          <th scope="row"><a href=${`#/node/${encodeURIComponent(other)}`}>${other}</a>${nodes.get(other)?.allowed === false ? ' (denied)' : ''}</th>
          <td class=${mood(there)}>${told(there, now)}</td><td class=${mood(here)}>${told(here, now)}</td>
          <td>${handshakeAt === null ? 'none' : clockTime(handshakeAt)}</td><td>${there?.path ?? 'none'}</td>
        </tr>`;
      })}</tbody>
    </table></div>
    ${others.length > ROWS && html`<p class="caption">${others.length - ROWS} more are not shown.</p>`}`;
}

/** Rows that are drawn. */
const ROWS = 50;

function told(pair: PairView | undefined, now: number): string {
  const text = echo(pair);
  return text === '–' ? text : `${text}, ${since(pair!, now)}`;
}
