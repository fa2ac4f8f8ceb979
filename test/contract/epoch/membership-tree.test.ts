import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  decodeMemberEntry,
  encodeMemberEntry,
  type MemberEntry,
} from '../../../src/contract/epoch/member-entry.ts';
import { MembershipTree } from '../../../src/contract/epoch/membership-tree.ts';
import { defaultProvider } from '../../../src/crypto/select.ts';
import { memberEntry, members } from './arbitraries.ts';

const crypto = defaultProvider();
const treeOf = (entries: readonly MemberEntry[]) =>
  MembershipTree.empty(crypto).replacedBy(entries);

test('an entry is what its bytes say, and other bytes say something else or nothing', () => {
  fc.assert(
    fc.property(memberEntry, fc.nat(), fc.integer({ min: 1, max: 255 }), (entry, at, flip) => {
      const bytes = encodeMemberEntry(entry);
      expect(decodeMemberEntry(bytes)).toEqual(entry);
      expect(decodeMemberEntry(Buffer.from(bytes))).toEqual(entry); // pooled: not at offset 0
      const other = bytes.slice();
      other[at % bytes.length]! ^= flip;
      const read = decodeMemberEntry(other);
      if (read) expect(encodeMemberEntry(read)).toEqual(other);
      expect(read).not.toEqual(entry);
      expect(decodeMemberEntry(bytes.subarray(0, at % bytes.length))).toBeUndefined();
      expect(decodeMemberEntry(Buffer.concat([bytes, Uint8Array.of(flip)]))).toBeUndefined();
    }),
  );
});

test('any bytes are an entry in its only form, or none', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const read = decodeMemberEntry(bytes);
      if (read) expect(encodeMemberEntry(read)).toEqual(new Uint8Array(bytes));
    }),
  );
});

test('the root depends on who is a member with what, and on nothing else', () => {
  fc.assert(
    fc.property(members, memberEntry, (entries, other) => {
      const tree = treeOf(entries);
      expect(treeOf(entries.toReversed()).root).toEqual(tree.root);
      const ids = tree.leaves.map((leaf) => leaf.entry.nodeId);
      expect(ids).toEqual(ids.toSorted());
      expect(tree.with([], [other]).root).not.toEqual(tree.root);
      for (const nodeId of ids) expect(tree.with([nodeId], []).root).not.toEqual(tree.root);
    }),
  );
});

test('members that only change cost the nodes above them, and give the tree that all entries give', () => {
  fc.assert(
    fc.property(members, fc.array(fc.tuple(fc.nat(), memberEntry)), (entries, others) => {
      const tree = treeOf(entries);
      const changed =
        entries.length === 0
          ? []
          : others.map(([at, other]) => ({
              ...other,
              nodeId: entries[at % entries.length]!.nodeId,
            }));
      const next = tree.with([], changed);
      expect(next.root).toEqual(treeOf([...entries, ...changed]).root);
      expect(tree.root).toEqual(treeOf(entries).root); // it stays what it was
      for (const [place, leaf] of next.leaves.entries()) {
        expect(next.list.placeOf(leaf.nodeId)).toBe(place);
        if (!changed.some(({ nodeId }) => nodeId === leaf.nodeId))
          expect(leaf).toBe(tree.leaves[place]);
      }
    }),
  );
});

test('what differs, done to the one, gives the other', () => {
  fc.assert(
    fc.property(members, members, (before, after) => {
      const [old, next] = [treeOf(before), treeOf([...before.slice(3), ...after])];
      const { removed, added, changed } = next.changesSince(old);
      const entries = [...added, ...changed].map((nodeId) => next.get(nodeId)!.entry);
      expect(old.with(removed, entries).root).toEqual(next.root);
      expect(next.changesSince(next)).toEqual({ removed: [], added: [], changed: [] });
      for (const nodeId of [...removed, ...added, ...changed]) {
        const fewer = removed.filter((one) => one !== nodeId);
        const others = entries.filter((one) => one.nodeId !== nodeId);
        expect(old.with(fewer, others).root).not.toEqual(next.root); // none of it may be left out
      }
    }),
  );
});
