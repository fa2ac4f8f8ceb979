import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Deadlines } from '../../src/device/deadlines.ts';

test('the heap says what is due as a list that is searched does', () => {
  const item = fc.integer({ min: 0, max: 20 });
  const step = fc.oneof(
    fc.record({ set: item, at: fc.oneof(fc.integer({ min: 0, max: 50 }), fc.constant(Infinity)) }),
    fc.record({ delete: item }),
    fc.record({ due: fc.integer({ min: 0, max: 50 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const heap = new Deadlines<number>();
      const naive = new Map<number, number>();
      for (const one of steps) {
        if ('set' in one) {
          heap.set(one.set, one.at);
          naive.set(one.set, one.at);
        } else if ('delete' in one) {
          heap.delete(one.delete);
          naive.delete(one.delete);
        } else {
          const due = [...naive].filter(([, at]) => at <= one.due);
          const taken = heap.takeDue(one.due);
          expect(taken.toSorted()).toEqual(due.map(([each]) => each).toSorted());
          const times = taken.map((each) => naive.get(each)!);
          expect(times).toEqual(times.toSorted((a, b) => a - b));
          for (const [each] of due) naive.delete(each);
        }
        expect(heap.next).toBe(Math.min(...naive.values(), Infinity));
      }
    }),
  );
});
