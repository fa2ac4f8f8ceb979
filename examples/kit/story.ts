import type { Change, Mesh } from './mesh.ts';
import type { Lane } from './picture.ts';
import { COLORS } from './picture.ts';

/** Something that was done to a node, ms after the mesh was opened. */
export interface Deed {
  readonly at: number;
  readonly node: string;
  readonly what: string;
}

/** Seconds, with one decimal. */
export const seconds = (ms: number | undefined) =>
  ms === undefined ? '-' : `${(ms / 1000).toFixed(1)} s`;

/** The first change of a node to in or out after a moment. */
export function changeAfter(
  mesh: Mesh,
  node: string,
  allowed: boolean,
  since: number,
): Change | undefined {
  return mesh.changes.find(
    (one) => one.node === node && one.allowed === allowed && one.at >= since,
  );
}

/** Of all nodes: grey until they come in, green while they are in, red while they are out. */
export function lanesOf(
  mesh: Mesh,
  nodes: readonly string[],
  deeds: readonly Deed[],
  endMs: number,
): Lane[] {
  return nodes.map((node) => {
    const spans: { from: number; to: number; color: string }[] = [];
    let from = 0;
    let color: string = COLORS.waiting;
    let wasIn = false;
    for (const { at, allowed } of mesh.changes.filter((one) => one.node === node)) {
      spans.push({ from, to: at / 1000, color });
      from = at / 1000;
      wasIn ||= allowed;
      color = allowed ? COLORS.member : wasIn ? COLORS.denied : COLORS.waiting;
    }
    spans.push({ from, to: endMs / 1000, color });
    const own = deeds.filter((deed) => deed.node === node);
    return {
      name: node,
      spans,
      marks: own.map(({ at, what }) => ({ at: at / 1000, label: what })),
    };
  });
}
