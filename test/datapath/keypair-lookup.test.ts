import fc from 'fast-check';
import { expect, test } from 'vitest';
import { KeypairLookup } from '../../src/datapath/keypair-lookup.ts';
import { NONE } from '../../src/datapath/memory.ts';

test('the index table agrees with a Map, also where many indices collide', () => {
  const index = fc.oneof(
    fc.integer({ min: 0, max: 12 }).map((n) => n * 64),
    fc.integer({ min: 0, max: 12 }).map((n) => 0xffff_ffc0 + n),
    fc.integer({ min: 0, max: 0xffff_ffff }),
  );
  const step = fc.record({ index, slot: fc.integer({ min: 0, max: 99 }), remove: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100, size: 'max' }), (steps) => {
      const table = new KeypairLookup(32);
      const map = new Map<number, number>();
      for (const { index: at, slot, remove } of steps) {
        if (remove) {
          table.delete(at);
          map.delete(at);
        } else if (map.size < 32 || map.has(at)) {
          table.set(at, slot);
          map.set(at, slot);
        }
        const wrong = steps.filter(
          (other) => table.get(other.index) !== (map.get(other.index) ?? NONE),
        );
        expect(wrong).toEqual([]);
      }
    }),
    { numRuns: 200 },
  );
});
