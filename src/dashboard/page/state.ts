import { useEffect, useState } from 'preact/hooks';
import { fromColumns } from '../columns.ts';
import type { EpochView, MeshDelta, MeshView, NodeView } from '../documents.ts';
import { mayRead } from './session.ts';

/** What the page knows of the mesh. */
export interface PageState {
  readonly epoch: EpochView | undefined;
  /** By id; another map whenever one of them changes. */
  readonly nodes: ReadonlyMap<string, NodeView>;
  /** Their ids in order; others whenever one comes or goes. */
  readonly ids: readonly string[];
  /** Controller's clock minus this browser's, ms. */
  readonly ahead: number;
  /** This browser's clock when the controller was last heard; undefined while it speaks. */
  readonly awaySince: number | undefined;
}

/** The controller says something every 5 s; after this, ms, it is taken to be away. */
const SILENCE_MS = 12_000;
const RETRY_MS = 1000;
/** Times count on, though nothing happens, ms. */
const TICK_MS = 1000;

let state: PageState = {
  epoch: undefined,
  nodes: new Map(),
  ids: [],
  ahead: 0,
  awaySince: undefined,
};
const listeners = new Set<() => void>();
/** This browser's clock. */
let heardAt: number | undefined;
let isDue = false;
let tick: ReturnType<typeof setTimeout> | undefined;

function set(next: Partial<PageState>): void {
  state = { ...state, ...next };
  drawSoon();
}

/** Once for all that came since the last frame; not at all while nobody sees it. */
function drawSoon(): void {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    clearTimeout(tick);
    tick = setTimeout(drawSoon, TICK_MS);
    for (const listener of listeners) listener();
  });
}

/** The state, drawn again when it changes, and each second. */
export function usePageState(): PageState {
  const [, draw] = useState(0);
  useEffect(() => {
    const listener = () => draw((n) => n + 1);
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }, []);
  return state;
}

/** The controller's time, each second, ms. */
export function useNow(): number {
  return Date.now() + usePageState().ahead;
}

/** Ends what is being followed. */
let stop = () => {};

/** Keeps the state up to date for as long as the page is open, through outages. */
function follow(): void {
  stop();
  const source = new EventSource('/api/live');
  let silence = setTimeout(again, SILENCE_MS);
  stop = () => {
    source.close();
    clearTimeout(silence);
  };
  const heard = (now: number) => {
    clearTimeout(silence);
    silence = setTimeout(again, SILENCE_MS);
    heardAt = Date.now();
    return { ahead: now - Date.now(), awaySince: undefined };
  };
  source.addEventListener('mesh', ({ data }) => {
    const view = JSON.parse(data as string) as MeshView;
    const nodes = new Map(fromColumns(view.nodes).map((node) => [node.id, node]));
    set({ ...heard(view.now), epoch: view.epoch, nodes, ids: view.nodes.id });
  });
  source.addEventListener('delta', ({ data }) => {
    const delta = JSON.parse(data as string) as MeshDelta;
    const nodes = new Map(state.nodes);
    for (const id of delta.gone) nodes.delete(id);
    const changed = fromColumns(delta.changed);
    const isNew = changed.some(({ id }) => !nodes.has(id));
    for (const node of changed) nodes.set(node.id, node);
    const ids = isNew || delta.gone.length > 0 ? [...nodes.keys()].sort() : state.ids;
    set({ ...heard(delta.now), ...(delta.epoch && { epoch: delta.epoch }), nodes, ids });
  });
  source.addEventListener('still', ({ data }) => set(heard(Number(data))));
  source.onerror = again;

  function again(): void {
    stop();
    set({ awaySince: state.awaySince ?? heardAt ?? Date.now() });
    setTimeout(begin, RETRY_MS);
  }
}

/** Follows the mesh if this page may; if not, whoever signs in begins again. */
export async function begin(): Promise<void> {
  if (await mayRead()) follow();
}

/** An answer of the controller, asked for again whenever `key` changes; an error in words. */
export function useAnswer<T>(path: string, key: unknown): { answer?: T; failure?: string } {
  const [result, setResult] = useState<{ answer?: T; failure?: string; path?: string }>({});
  useEffect(() => {
    const control = new AbortController();
    fetch(path, { signal: control.signal })
      .then(async (response) => {
        const body = (await response.json()) as T & { title?: string; detail?: string };
        if (response.ok) setResult({ answer: body, path });
        else setResult({ failure: body.detail ?? body.title ?? `HTTP ${response.status}`, path });
      })
      .catch((error: unknown) => {
        if (!control.signal.aborted) setResult((old) => ({ ...old, failure: String(error), path }));
      });
    return () => control.abort();
  }, [path, key]);
  return result.path === path ? result : {};
}
