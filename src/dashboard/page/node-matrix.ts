import { useEffect, useRef, useState } from 'preact/hooks';
import { printable } from '../../contract/printable.ts';
import type { NodeView } from '../documents.ts';
import { count, score } from './format.ts';
import { html } from './html.ts';
import { isUnreached, reachWord } from './reach.ts';
import { themeColour } from './theme.ts';
import { MARKS, type Standing, WORDS } from './verdict.ts';

/** Side of a square with the gap beside it, CSS pixels: up to a thousand nodes, and with more. */
const LARGE = 27;
const SMALL = 17;
const MANY = 1000;
const GAP = 3;

export interface NodeMatrixProps {
  /** In the order of the squares. */
  readonly ids: readonly string[];
  readonly nodes: ReadonlyMap<string, NodeView>;
  readonly standings: ReadonlyMap<string, Standing>;
}

/**
 * A square for each node, with a mark and not only a colour, always at the same place. It is a picture:
 * thousands of links would cost the browser more than all else; the table below has them.
 */
export function NodeMatrix({ ids, nodes, standings }: NodeMatrixProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const [theme, setTheme] = useState(0);
  useEffect(() => {
    const sized = new ResizeObserver(([entry]) => setWidth(Math.floor(entry!.contentRect.width)));
    sized.observe(canvas.current!.parentElement!);
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    const changed = () => setTheme((n) => n + 1);
    scheme.addEventListener('change', changed);
    return () => {
      sized.disconnect();
      scheme.removeEventListener('change', changed);
    };
  }, []);
  const kinds = ids.map((id): Kind => [standings.get(id)!, isUnreached(nodes.get(id)!)]);
  const side = ids.length > MANY ? SMALL : LARGE;
  const columns = Math.max(1, Math.floor((width + GAP) / side));
  useEffect(() => {
    if (width > 0) draw(canvas.current!, kinds, side, columns);
  }, [kinds.join(), width, theme]);

  const nodeAt = ({ offsetX, offsetY }: MouseEvent): NodeView | undefined => {
    const column = Math.floor(offsetX / side);
    const id = column < columns ? ids[Math.floor(offsetY / side) * columns + column] : undefined;
    return id === undefined ? undefined : nodes.get(id);
  };
  const point = (event: MouseEvent) => {
    const node = nodeAt(event);
    const element = event.target as HTMLCanvasElement;
    element.style.cursor = node === undefined ? '' : 'pointer';
    element.title =
      node === undefined
        ? ''
        : `${printable(node.id)}: ${WORDS[standings.get(node.id)!]}, score ${score(node.score)}, reached by ${reachWord(node)}`;
  };
  const open = (event: MouseEvent) => {
    const node = nodeAt(event);
    if (node !== undefined) location.hash = `#/node/${encodeURIComponent(node.id)}`;
  };
  const label = `${count(ids.length, 'node')}, a square each; the table below has them in words.`;
  return html`<div class="matrix">
    <canvas ref=${canvas} role="img" aria-label=${label} onMouseMove=${point} onClick=${open}></canvas>
  </div>`;
}

/** How a node stands, and whether it is out of reach of others. */
type Kind = readonly [standing: Standing, isUnreached: boolean];

function draw(
  canvas: HTMLCanvasElement,
  kinds: readonly Kind[],
  side: number,
  columns: number,
): void {
  const scale = devicePixelRatio;
  const width = Math.min(columns, kinds.length) * side - GAP;
  const height = Math.ceil(kinds.length / columns) * side - GAP;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const squares = new Map(
    new Map(kinds.map((kind) => [kind.join(), kind]))
      .entries()
      .map(([name, kind]) => [name, square(kind, side - GAP, scale)] as const),
  );
  const context = canvas.getContext('2d')!;
  for (const [i, kind] of kinds.entries()) {
    const x = (i % columns) * side;
    const y = Math.floor(i / columns) * side;
    context.drawImage(squares.get(kind.join())!, Math.round(x * scale), Math.round(y * scale));
  }
}

/** One of a kind, to be copied. */
function square([kind, isUnreached]: Kind, size: number, scale: number): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = Math.round(size * scale);
  const context = canvas.getContext('2d')!;
  context.scale(scale, scale);
  context.fillStyle = themeColour(`${kind}-back`);
  context.strokeStyle = themeColour(kind);
  context.beginPath();
  context.roundRect(0.5, 0.5, size - 1, size - 1, size / 5);
  context.fill();
  context.stroke();
  context.fillStyle = themeColour('text');
  context.font = `${Math.round(size * 0.65)}px system-ui, sans-serif`;
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  context.fillText(MARKS[kind], size / 2, size / 2 + 1);
  if (isUnreached) {
    context.fillStyle = themeColour('denied');
    context.beginPath();
    context.arc(size - size / 6, size / 6, size / 6, 0, 2 * Math.PI);
    context.fill();
  }
  return canvas;
}
