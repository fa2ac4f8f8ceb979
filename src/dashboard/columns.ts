import type { Columns, NodeView } from './documents.ts';

/** Fields of a node, in the order in which they are sent. */
const FIELDS = [
  'id',
  'allowed',
  'reason',
  'explanation',
  'sinceEpoch',
  'score',
  'observedAt',
  'latestAt',
  'reach',
] as const satisfies readonly (keyof NodeView)[];

export function toColumns(nodes: readonly NodeView[]): Columns<NodeView> {
  const columns = FIELDS.map((field) => [field, nodes.map((node) => node[field])]);
  return Object.fromEntries(columns) as Columns<NodeView>;
}

export function fromColumns(columns: Columns<NodeView>): NodeView[] {
  return columns.id.map((_, i) => {
    const fields = FIELDS.map((field) => [field, columns[field][i]]);
    return Object.fromEntries(fields) as unknown as NodeView;
  });
}

export function isSameNode(a: NodeView, b: NodeView): boolean {
  return FIELDS.every((field) => a[field] === b[field]);
}
