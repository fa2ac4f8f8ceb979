import fc from 'fast-check';
import { expect, test } from 'vitest';
import { NodeList } from '../../src/contract/node-list.ts';

interface Item {
  readonly nodeId: string;
  readonly what: number;
}

const item = fc.record({ nodeId: fc.constantFrom(...'abcdefghij'), what: fc.nat(3) });
const items = fc.array(item);
/** As a map would have it. */
const expected = (all: readonly Item[]): Item[] =>
  [...new Map(all.map((one) => [one.nodeId, one])).values()].sort((a, b) =>
    a.nodeId < b.nodeId ? -1 : 1,
  );

test('has one item for each node, in the order of their ids', () => {
  fc.assert(
    fc.property(items, fc.constantFrom(...'aaexjk'), (all, nodeId) => {
      const list = NodeList.of(all);
      const kept = expected(all);
      expect(list.values()).toEqual(kept);
      expect([list.size, list.keys()]).toEqual([kept.length, kept.map((one) => one.nodeId)]);
      expect(list.placeOf(nodeId)).toBe(kept.findIndex((one) => one.nodeId === nodeId));
      expect(list.get(nodeId)).toBe(kept.find((one) => one.nodeId === nodeId));
      expect(list.has(nodeId)).toBe(kept.some((one) => one.nodeId === nodeId));
    }),
  );
});

test('a list with changes is the list of what is then there, and the one before stays', () => {
  fc.assert(
    fc.property(items, fc.array(fc.constantFrom(...'abcxyz')), items, (all, removed, put) => {
      const before = NodeList.of(all);
      const next = before.with(removed, put);
      const left = expected(all).filter((one) => !removed.includes(one.nodeId));
      expect(next.values()).toEqual(expected([...left, ...put]));
      expect(before.values()).toEqual(expected(all));
    }),
  );
});

test('how two lists differ, done to the one, gives the other, and names nothing that is the same', () => {
  fc.assert(
    fc.property(items, fc.array(fc.constantFrom(...'abcde')), items, (all, gone, others) => {
      const before = NodeList.of(all);
      const after = before.with(gone, others);
      const { removed, put } = after.changesSince(before);
      const again = before.with(
        removed.map((one) => one.nodeId),
        put,
      );
      expect(again.values()).toEqual(after.values());
      for (const one of removed)
        expect([before.get(one.nodeId), after.has(one.nodeId)]).toEqual([one, false]);
      for (const one of put) expect(before.get(one.nodeId)).not.toBe(one);
      expect(after.changesSince(after)).toEqual({ removed: [], put: [] });
    }),
  );
});
