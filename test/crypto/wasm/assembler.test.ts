import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  doWhile,
  leave,
  ModuleAssembler,
  signed,
  unsigned,
  when,
  whileTrue,
} from '../../../src/crypto/wasm/assembler.ts';
import { i32, i64 } from '../../../src/crypto/wasm/instructions.ts';

type Functions = Record<string, (...values: number[]) => number>;

function instantiate(module: ModuleAssembler, scratch = 0): Functions {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const compiled = new WebAssembly.Module(module.assemble('test'));
  const { exports } = new WebAssembly.Instance(compiled, { env: { memory, scratch } });
  return exports as unknown as Functions;
}

test('numbers are encoded as LEB128', () => {
  expect(unsigned(0)).toEqual([0]);
  expect(unsigned(127)).toEqual([0x7f]);
  expect(unsigned(624485)).toEqual([0xe5, 0x8e, 0x26]);
  expect(unsigned(0xffffffff)).toEqual([0xff, 0xff, 0xff, 0xff, 0x0f]);
  expect(signed(-123456n)).toEqual([0xc0, 0xbb, 0x78]);
  expect(signed(63n)).toEqual([0x3f]);
  expect(signed(64n)).toEqual([0xc0, 0]);
  expect(signed(-1n)).toEqual([0x7f]);
});

test('constants come back as they went in', () => {
  fc.assert(
    fc.property(fc.integer(), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (a, b) => {
      const module = new ModuleAssembler(1);
      module.define({}, 'i32', () => [i32.const(a)], 'small');
      module.define(
        { high: 'i32' },
        'i32',
        ({ high }) => {
          const half = i64.shrU(i64.const(b), i64.extend(high));
          return [i32.wrap(half)];
        },
        'large',
      );
      const { small, large } = instantiate(module);
      expect(small!()).toBe(a);
      expect(large!(0)).toBe(Number(BigInt.asIntN(32, b)));
      expect(large!(32)).toBe(Number(BigInt.asIntN(32, b >> 32n)));
    }),
    { numRuns: 50 },
  );
});

test('functions call one another, loop and leave', () => {
  const module = new ModuleAssembler(1);
  const triangle = module.define({ n: 'i32' }, 'i32', ({ n }, locals) => {
    const sum = locals.new('i32');
    return [whileTrue(n, [sum.set(i32.add(sum, n)), n.set(i32.sub(n, i32.const(1)))]), sum];
  });
  module.define(
    { n: 'i32' },
    'i32',
    ({ n }) => [
      when(i32.eqz(n), [leave(i32.const(-1))]),
      when(i32.gtU(n, i32.const(100)), [n.set(i32.const(100))], [n.set(i32.add(n, i32.const(1)))]),
      doWhile([n.set(i32.sub(n, i32.const(1)))], i32.gtU(n, i32.const(50))),
      i32.add(triangle.call({ n }), module.scratch),
    ],
    'run',
  );
  const { run } = instantiate(module, 1000);
  expect([0, 1, 10, 49, 60, 500].map((n) => run!(n))).toEqual([
    -1,
    1001,
    1055,
    1000 + 49 * 25,
    1000 + 51 * 25,
    1000 + 51 * 25,
  ]);
});
