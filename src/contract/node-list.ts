import { compareNodeIds } from './ids.ts';

interface Named {
  readonly nodeId: string;
}

/** How a list differs from another one. */
export interface NodeListChanges<T> {
  /** Of nodes that are in the other list alone. */
  readonly removed: readonly T[];
  /** New, or another object than that of the other list. */
  readonly put: readonly T[];
}

/**
 * Something of each node, in byte order of their ids. Immutable. Lists that follow from one another share
 * what has not changed, so that how they differ is seen without a look into it: ten thousand nodes are
 * compared in some microseconds.
 */
export class NodeList<T extends Named> {
  readonly items: readonly T[];

  private constructor(items: readonly T[]) {
    this.items = items;
  }

  /** In any order; of two for one id the later counts. */
  static of<T extends Named>(items: Iterable<T>): NodeList<T> {
    const byId = new Map<string, T>();
    for (const item of items) byId.set(item.nodeId, item);
    return new NodeList([...byId.values()].sort((a, b) => compareNodeIds(a.nodeId, b.nodeId)));
  }

  get size(): number {
    return this.items.length;
  }

  /** Where it is in the list, -1 if it is not. */
  placeOf(nodeId: string): number {
    const place = this.lowerBound(nodeId);
    return this.items[place]?.nodeId === nodeId ? place : -1;
  }

  get(nodeId: string): T | undefined {
    return this.items[this.placeOf(nodeId)];
  }

  has(nodeId: string): boolean {
    return this.placeOf(nodeId) >= 0;
  }

  values(): readonly T[] {
    return this.items;
  }

  keys(): string[] {
    return this.items.map(({ nodeId }) => nodeId);
  }

  /** This list without `removed` and with `put`, which are new or take the place of others. */
  with(removed: Iterable<string>, put: Iterable<T>): NodeList<T> {
    const next = new NodeList(this.items.slice());
    const items = next.items as T[];
    for (const nodeId of removed) {
      const place = next.placeOf(nodeId);
      if (place >= 0) items.splice(place, 1);
    }
    for (const item of put) {
      const place = next.lowerBound(item.nodeId);
      items.splice(place, items[place]?.nodeId === item.nodeId ? 1 : 0, item);
    }
    return next;
  }

  changesSince(before: NodeList<T>): NodeListChanges<T> {
    const [removed, put]: [T[], T[]] = [[], []];
    for (let i = 0, j = 0; i < before.items.length || j < this.items.length; ) {
      const [old, now] = [before.items[i], this.items[j]];
      const order = old === now ? 0 : compareOrNone(old, now);
      if (order < 0) removed.push(old!);
      else if (old !== now) put.push(now!);
      if (order <= 0) i++;
      if (order >= 0) j++;
    }
    return { removed, put };
  }

  /** The first place whose id is not below. */
  private lowerBound(nodeId: string): number {
    let [low, high] = [0, this.items.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareNodeIds(this.items[middle]!.nodeId, nodeId) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** What is not there comes last. */
function compareOrNone(a: Named | undefined, b: Named | undefined): number {
  if (a === undefined || b === undefined) return a === undefined ? 1 : -1;
  return compareNodeIds(a.nodeId, b.nodeId);
}
