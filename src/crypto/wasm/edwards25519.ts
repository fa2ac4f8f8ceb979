import {
  type Code,
  type Local,
  type Locals,
  ModuleAssembler,
  type Statement,
  whileTrue,
} from './assembler.ts';
import { i32, i64 } from './instructions.ts';

/**
 * Points of edwards25519 (RFC 8032 section 5.1) as WebAssembly functions, for what everybody may know:
 * time depends on nothing secret because nothing here is secret.
 *
 * A field element is nine limbs of 29 bits, each in an i32, least first; it stands for their sum mod
 * p = 2^255 - 19, and may be any of its residues. Limbs are below 2^29, the first below 2^29 + 2^22: so
 * nine products of them fit into 64 bits. A point is X, Y, Z, T of RFC 8032 section 5.1.4.
 */
export const LIMBS = 9;
export const LIMB_BITS = 29;
/** Bytes. */
export const ELEMENT = 4 * LIMBS;
export const POINT = 4 * ELEMENT;
/** Bytes at the scratch offset that belong to the functions; 2d, an element, comes first. */
export const SCRATCH = 16 * ELEMENT;

export const P = 2n ** 255n - 19n;
const MASK = 2n ** BigInt(LIMB_BITS) - 1n;
/** Bits of the last limb that lie below 2^255. */
const TOP_BITS = 23n;
const TOP_MASK = 2n ** TOP_BITS - 1n;
/** 2^261 mod p: what a limb above the last one counts in the first. */
const WRAP = 19n << 6n;

/** A multiple of p whose limbs are all at least 2^30: with it, a difference of limbs is never negative. */
const SUBTRAHEND = (() => {
  const each = Array.from({ length: LIMBS }, () => 2n ** 30n);
  const sum = each.reduceRight((high, limb) => (high << BigInt(LIMB_BITS)) + limb, 0n);
  const missing = P - (sum % P);
  return each.map((limb, i) => limb + ((missing >> BigInt(LIMB_BITS * i)) & MASK));
})();

type Address = Code<'i32'>;

/** Functions over addresses of elements and of points; results may lie where operands do. */
export interface Edwards25519 {
  multiply(to: number, a: number, b: number): void;
  /** `a` to the power of 2^times; `times` is at least 1. */
  square(to: number, a: number, times: number): void;
  add(to: number, a: number, b: number): void;
  subtract(to: number, a: number, b: number): void;
  /** `a` as its least residue, all limbs below 2^29: to be read. */
  reduce(to: number, a: number): void;
  /** Of any two points: the formula is complete. */
  addPoints(to: number, p: number, q: number): void;
}

/** The module's bytes: imports as all of {@link ModuleAssembler}, exports as {@link Edwards25519}. */
export function assembleEdwards25519(maximumPages: number): Uint8Array {
  const module = new ModuleAssembler(maximumPages);
  const operands = { to: 'i32', a: 'i32', b: 'i32' } as const;

  const multiply = module.define(
    operands,
    'void',
    ({ to, a, b }, locals) => {
      const [x, y] = [limbsAt(a, locals), limbsAt(b, locals)];
      const columns = Array.from({ length: 2 * LIMBS - 1 }, (_, k) =>
        sumOf(pairs(k).map(([i, j]) => i64.mul(x.limbs[i]!, y.limbs[j]!))),
      );
      return [...x.load, ...y.load, ...storeProduct(to, columns, locals)];
    },
    'multiply',
  );

  const squareOnce = module.define({ to: 'i32', a: 'i32' }, 'void', ({ to, a }, locals) => {
    const x = limbsAt(a, locals);
    const twice = locals.many('i64', LIMBS);
    const columns = Array.from({ length: 2 * LIMBS - 1 }, (_, k) =>
      sumOf(
        pairs(k)
          .filter(([i, j]) => i <= j)
          .map(([i, j]) => i64.mul(i === j ? x.limbs[i]! : twice[i]!, x.limbs[j]!)),
      ),
    );
    const double = twice.map((local, i) => local.set(i64.add(x.limbs[i]!, x.limbs[i]!)));
    return [...x.load, ...double, ...storeProduct(to, columns, locals)];
  });

  module.define(
    { to: 'i32', a: 'i32', times: 'i32' },
    'void',
    ({ to, a, times }) => [
      squareOnce.call({ to, a }),
      times.set(i32.sub(times, i32.const(1))),
      whileNot(times, squareOnce.call({ to, a: to })),
    ],
    'square',
  );

  const add = module.define(
    operands,
    'void',
    ({ to, a, b }, locals) => {
      const [x, y] = [limbsAt(a, locals), limbsAt(b, locals)];
      const sums = x.limbs.map((limb, i) => i64.add(limb, y.limbs[i]!));
      return [...x.load, ...y.load, ...storeReduced(to, sums, locals)];
    },
    'add',
  );

  const subtract = module.define(
    operands,
    'void',
    ({ to, a, b }, locals) => {
      const [x, y] = [limbsAt(a, locals), limbsAt(b, locals)];
      const differences = x.limbs.map((limb, i) =>
        i64.sub(i64.add(limb, i64.const(SUBTRAHEND[i]!)), y.limbs[i]!),
      );
      return [...x.load, ...y.load, ...storeReduced(to, differences, locals)];
    },
    'subtract',
  );

  module.define(
    { to: 'i32', a: 'i32' },
    'void',
    ({ to, a }, locals) => {
      const x = limbsAt(a, locals);
      // Below 2^255 + 2^30: what is above bit 255 counts 19 times at the bottom.
      const above = i64.shrU(x.limbs[8]!, i64.const(TOP_BITS));
      const below = i64.and(x.limbs[8]!, i64.const(TOP_MASK));
      const folded = [
        i64.add(x.limbs[0]!, i64.mul(above, i64.const(19n))),
        ...x.limbs.slice(1, 8),
        below,
      ];
      const once = carried(folded, locals);
      // At least p: with 19 more it reaches 2^255.
      const more = once.limbs.map((limb, i) => (i === 0 ? i64.add(limb, i64.const(19n)) : limb));
      const tested = carried(more, locals);
      const excess = i64.mul(i64.shrU(tested.limbs[8]!, i64.const(TOP_BITS)), i64.const(19n));
      const less = once.limbs.map((limb, i) => (i === 0 ? i64.add(limb, excess) : limb));
      const twice = carried(less, locals);
      return [
        ...x.load,
        ...once.statements,
        ...tested.statements,
        ...twice.statements,
        ...twice.limbs.map((limb, i) =>
          i64.store32(to, i === 8 ? i64.and(limb, i64.const(TOP_MASK)) : limb, 4 * i),
        ),
      ];
    },
    'reduce',
  );

  // RFC 8032 section 5.1.4, names as there.
  module.define(
    { to: 'i32', p: 'i32', q: 'i32' },
    'void',
    ({ to, p, q }) => {
      const at = (base: Address, index: number) => i32.add(base, i32.const(index * ELEMENT));
      const [x1, y1, z1, t1] = [0, 1, 2, 3].map((i) => at(p, i)) as FourOf<Address>;
      const [x2, y2, z2, t2] = [0, 1, 2, 3].map((i) => at(q, i)) as FourOf<Address>;
      const [x3, y3, z3, t3] = [0, 1, 2, 3].map((i) => at(to, i)) as FourOf<Address>;
      const temporary = (i: number) => at(module.scratch, 1 + i);
      const [A, B, C, D] = [0, 1, 2, 3].map(temporary) as FourOf<Address>;
      const [E, F, G, H] = [4, 5, 6, 7].map(temporary) as FourOf<Address>;
      const twoD = module.scratch;
      return [
        subtract.call({ to: A, a: y1, b: x1 }),
        subtract.call({ to: E, a: y2, b: x2 }),
        multiply.call({ to: A, a: A, b: E }),
        add.call({ to: B, a: y1, b: x1 }),
        add.call({ to: E, a: y2, b: x2 }),
        multiply.call({ to: B, a: B, b: E }),
        multiply.call({ to: C, a: t1, b: t2 }),
        multiply.call({ to: C, a: C, b: twoD }),
        multiply.call({ to: D, a: z1, b: z2 }),
        add.call({ to: D, a: D, b: D }),
        subtract.call({ to: E, a: B, b: A }),
        subtract.call({ to: F, a: D, b: C }),
        add.call({ to: G, a: D, b: C }),
        add.call({ to: H, a: B, b: A }),
        multiply.call({ to: x3, a: E, b: F }),
        multiply.call({ to: y3, a: G, b: H }),
        multiply.call({ to: t3, a: E, b: H }),
        multiply.call({ to: z3, a: F, b: G }),
      ];
    },
    'addPoints',
  );
  return module.assemble('edwards25519');
}

type FourOf<T> = [T, T, T, T];

/** Indexes of limbs whose products count in column `k`. */
function pairs(k: number): [number, number][] {
  return Array.from({ length: LIMBS }, (_, i): [number, number] => [i, k - i]).filter(
    ([, j]) => j >= 0 && j < LIMBS,
  );
}

function sumOf(terms: readonly Code<'i64'>[]): Code<'i64'> {
  return terms.reduce((sum, term) => i64.add(sum, term));
}

function whileNot(count: Local<'i32'>, body: Statement): Statement {
  return whileTrue(count, [body, count.set(i32.sub(count, i32.const(1)))]);
}

function limbsAt(address: Address, locals: Locals) {
  const limbs = locals.many('i64', LIMBS);
  const load = limbs.map((limb, i) => limb.set(i64.load32u(address, 4 * i)));
  return { limbs, load };
}

/** Carries through `columns`, so that each local has 29 bits; returns what is carried out of the last. */
function carried(columns: readonly Code<'i64'>[], locals: Locals) {
  const limbs = locals.many('i64', columns.length);
  const carry = locals.new('i64');
  const sum = locals.new('i64');
  const statements = columns.flatMap((column, i) => [
    sum.set(i === 0 ? column : i64.add(column, carry)),
    limbs[i]!.set(i64.and(sum, i64.const(MASK))),
    carry.set(i64.shrU(sum, i64.const(BigInt(LIMB_BITS)))),
  ]);
  return { limbs, carry, statements };
}

/** Stores the sum of nine columns, each below 2^63. */
function storeReduced(to: Address, columns: readonly Code<'i64'>[], locals: Locals): Statement[] {
  const { limbs, carry, statements } = carried(columns, locals);
  const first = i64.add(limbs[0]!, i64.mul(carry, i64.const(WRAP)));
  return [...statements, ...limbs.map((limb, i) => i64.store32(to, i === 0 ? first : limb, 4 * i))];
}

/** Stores the sum of 17 columns, folded to nine. */
function storeProduct(to: Address, columns: readonly Code<'i64'>[], locals: Locals): Statement[] {
  const { limbs, carry, statements } = carried(columns, locals);
  const high = [...limbs.slice(LIMBS), carry];
  const folded = high.map((limb, i) => i64.add(limbs[i]!, i64.mul(limb, i64.const(WRAP))));
  return [...statements, ...storeReduced(to, folded, locals)];
}
