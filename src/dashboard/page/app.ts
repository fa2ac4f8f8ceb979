import { useEffect, useState } from 'preact/hooks';
import { printable } from '../../contract/printable.ts';
import type { EpochView } from '../documents.ts';
import { clockTime, count, duration } from './format.ts';
import { html } from './html.ts';
import { fetchRest, later } from './later.ts';
import { MeshPage } from './mesh-page.ts';
import { useSession } from './session.ts';
import { SignInPage } from './sign-in-page.ts';
import { begin, type PageState, useNow, usePageState } from './state.ts';

const PAGES = [
  ['mesh', 'Mesh', MeshPage],
  ['epochs', 'Epochs', later(async () => (await import('./epochs-page.ts')).EpochsPage)],
  ['policy', 'Policy', later(async () => (await import('./policy-page.ts')).PolicyPage)],
  ['record', 'Record', later(async () => (await import('./record-page.ts')).RecordPage)],
  ['health', 'Health', later(async () => (await import('./health-page.ts')).HealthPage)],
] as const;
const NodePage = later(async () => (await import('./node-page.ts')).NodePage);

/** After the first page was drawn, ms. */
const REST_MS = 500;

/** `#/node/node-a` is `['node', 'node-a']`. */
function useRoute(): string[] {
  const read = () => location.hash.replace(/^#\/?/, '').split('/').map(decoded);
  const [route, setRoute] = useState(read);
  useEffect(() => {
    const listener = () => setRoute(read());
    addEventListener('hashchange', listener);
    return () => removeEventListener('hashchange', listener);
  }, []);
  return route;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Frame of every page: where one is, how the mesh is, and whether the controller speaks. */
export function App() {
  const [name = '', ...rest] = useRoute();
  const state = usePageState();
  const session = useSession();
  const isShut = session?.mustSignIn === true && session.name === null;
  const isShown = state.epoch !== undefined;
  useEffect(() => {
    if (isShown) setTimeout(fetchRest, REST_MS);
  }, [isShown]);
  const title = name === 'node' ? rest[0] : PAGES.find(([path]) => path === name)?.[1];
  useEffect(() => {
    document.title =
      title === undefined ? 'Aligned Meshnet' : `${printable(title)} · Aligned Meshnet`;
  }, [title]); // setting it costs the browser more than drawing all the rest
  return html`
    <a class="skip" href="#content" onClick=${skip}>Skip to the content</a>
    <header>
      <span class="brand">Aligned Meshnet</span>
      <nav aria-label="Pages">
        ${PAGES.map(([path, title]) => {
          const isCurrent = (name === '' ? 'mesh' : name) === path;
          return html`<a href=${`#/${path}`} aria-current=${isCurrent ? 'page' : undefined}>${title}</a>`;
        })}
      </nav>
      <${Countdown} state=${state} />
      ${session !== undefined && html`<a class="who" href="#/sign-in">${session.name ?? 'Sign in'}</a>`}
    </header>
    ${!isShut && html`<${Away} state=${state} />`}
    <main id="content" tabindex="-1">
      ${isShut || name === 'sign-in' ? html`<${SignInPage} onSignedIn=${() => isShut && begin()} />` : state.epoch === undefined ? html`<p class="starting">Asking the controller …</p>` : page(name, rest)}
    </main>
  `;
}

function page(name: string, rest: readonly string[]) {
  if (name === 'node') return html`<${NodePage} id=${rest[0] ?? ''} />`;
  const found = PAGES.find(([path]) => path === name)?.[2] ?? (name === '' ? MeshPage : undefined);
  if (found !== undefined) return html`<${found} />`;
  return html`<h1>No such page</h1>
    <p>There is nothing at this address. <a href="#/mesh">Back to the mesh</a></p>`;
}

function skip(event: Event): void {
  event.preventDefault();
  document.getElementById('content')?.focus();
}

function Countdown({ state }: { state: PageState }) {
  const now = useNow();
  const { epoch } = state;
  if (epoch === undefined) return html`<span class="countdown"></span>`;
  const left = epoch.nextRotationAt - now;
  return html`<span class="countdown">
    epoch <b>${epoch.epoch}</b>, ${left > 0 ? `next in ${duration(left)}` : 'deciding the next'}
  </span>`;
}

/** Says since when nothing was heard, and what still holds. */
function Away({ state }: { state: PageState }) {
  const now = useNow() - state.ahead;
  if (state.awaySince === undefined) {
    const why = state.epoch && remark(state.epoch);
    return html`<p role="status" class=${why === undefined ? 'notice empty' : 'notice'}>${why}</p>`;
  }
  const since = `${clockTime(state.awaySince)}, ${duration(now - state.awaySince)} ago`;
  const shown = state.epoch === undefined ? '' : ' What is shown is what it said last.';
  return html`<p role="status" class="notice away">
    The controller was last heard at ${since}.${shown} Members go on until their configs run out.
  </p>`;
}

/** What everybody should know of the present epoch. */
function remark({ notReady, observeOnly, brake }: EpochView): string | undefined {
  if (notReady !== null) return notReady;
  if (observeOnly) return 'Observing only: nobody is cut.';
  if (brake === null) return undefined;
  const held = `${count(brake.held, 'node')} ${brake.held === 1 ? 'is a member' : 'are members'} only because of the brake`;
  const what =
    brake.phase === 'frozen'
      ? 'more would be cut at once than is believed'
      : 'only the worst are cut';
  return `${held}: ${what}. An operator should look.`;
}
