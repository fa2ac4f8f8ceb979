import fc from 'fast-check';

/** What may happen to a mesh. Nodes by number; times in ms. */
export type Step =
  | { readonly kind: 'pass'; readonly ms: number }
  | { readonly kind: 'rotate' | 'heal' | 'calm' }
  /** `promptly`: it reports at once, and an epoch begins; otherwise both when they are due. */
  | { readonly kind: 'deny' | 'admit'; readonly node: number; readonly promptly: boolean }
  | { readonly kind: 'restart' | 'suspend'; readonly node: number; readonly ms: number }
  | { readonly kind: 'part'; readonly node: number; readonly from: number }
  /** Node and controller do not reach each other. `told`: see `SimChannel.cut`. */
  | { readonly kind: 'cut'; readonly node: number; readonly told: boolean }
  | {
      readonly kind: 'crash';
      readonly ms: number;
      /** Connections do not end: its machine is gone, too. */
      readonly silent: boolean;
      /** Right after it has committed an epoch, which it does now. */
      readonly atCommit: boolean;
    }
  | {
      readonly kind: 'lose';
      readonly datagrams: number;
      readonly events: number;
      readonly calls: number;
    }
  | {
      readonly kind: 'delay';
      readonly datagrams: number;
      readonly calls: number;
      readonly duplication: number;
    }
  | { readonly kind: 'clock'; readonly node: number; readonly ms: number }
  /** Until healed, somebody on the way to a node keeps what it should get, or gives it an older one. */
  | {
      readonly kind: 'tamper';
      readonly node: number;
      readonly what: Carried;
      readonly how: 'withhold' | 'replay';
    }
  /** The controller signs another header and pushes it to one node. */
  | { readonly kind: 'lie'; readonly node: number; readonly lie: Lie };

export const CARRIED = ['push', 'lease', 'keys', 'header', 'config'] as const;
export type Carried = (typeof CARRIED)[number];

/**
 * `split`   another one of an epoch that the node has
 * `skip`    one that does not follow from the one that it has
 * `replay`  an old one
 * `jump`    one so far ahead that what is between cannot be had
 */
export const LIES = ['split', 'skip', 'replay', 'jump'] as const;
export type Lie = (typeof LIES)[number];

export interface Schedule {
  readonly seed: number;
  readonly nodes: number;
  readonly epochS: number;
  /** Members up to which each pair has a base of its own, as in settings; null: keys come with configs. */
  readonly pairwiseUpTo: number | null;
  /** Who sends, five packets a second to each: everybody, everybody to who is after it, nobody. */
  readonly flows: 'both' | 'one way' | 'none';
  readonly steps: readonly Step[];
}

const node = fc.nat(3);
const share = fc.double({ min: 0, max: 0.6, noNaN: true });
const anyShare = fc.oneof(share, fc.constant(1));
const of = (weight: number, arbitrary: fc.Arbitrary<Step>) => ({ weight, arbitrary });
const kind = <K extends Step['kind']>(...kinds: K[]) => fc.constantFrom(...kinds);
const ms = (max: number) => fc.integer({ min: 1, max });

const step: fc.Arbitrary<Step> = fc.oneof(
  of(6, fc.record({ kind: kind('pass'), ms: ms(7000) })),
  of(2, fc.record({ kind: kind('rotate') })),
  of(2, fc.record({ kind: kind('heal') })),
  of(1, fc.record({ kind: kind('calm') })),
  of(4, fc.record({ kind: kind('deny', 'admit'), node, promptly: fc.boolean() })),
  of(2, fc.record({ kind: kind('restart'), node, ms: ms(8000) })),
  of(2, fc.record({ kind: kind('suspend'), node, ms: fc.oneof(ms(4000), ms(30_000)) })),
  of(1, fc.record({ kind: kind('part'), node, from: node })),
  of(2, fc.record({ kind: kind('cut'), node, told: fc.boolean() })),
  of(
    1,
    fc.record({
      kind: kind('crash'),
      ms: ms(15_000),
      silent: fc.boolean(),
      atCommit: fc.boolean(),
    }),
  ),
  of(1, fc.record({ kind: kind('lose'), datagrams: share, events: anyShare, calls: share })),
  of(
    1,
    fc.record({
      kind: kind('delay'),
      datagrams: fc.integer({ min: 1, max: 400 }),
      calls: fc.integer({ min: 5, max: 2000 }),
      duplication: share,
    }),
  ),
  of(
    1,
    fc.record({
      kind: kind('tamper'),
      node,
      what: fc.constantFrom(...CARRIED),
      how: fc.constantFrom('withhold', 'replay'),
    }),
  ),
  of(1, fc.record({ kind: kind('lie'), node, lie: fc.constantFrom(...LIES) })),
  of(1, fc.record({ kind: kind('clock'), node, ms: fc.integer({ min: -700_000, max: 700_000 }) })),
);

export const schedule: fc.Arbitrary<Schedule> = fc.record({
  seed: fc.nat(),
  nodes: fc.integer({ min: 3, max: 4 }),
  epochS: fc.constantFrom(4, 6, 6, 30, 30),
  pairwiseUpTo: fc.constantFrom(256, 256, 0, null),
  flows: fc.constantFrom('both', 'one way', 'none'),
  steps: fc.array(step, { minLength: 1, maxLength: 20 }),
});
