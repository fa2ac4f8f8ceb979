import { describe } from 'vitest';
import { requires } from '../lab/requirements.ts';
import { type Implementation, INTEROP_NEEDS, PAIRS } from './implementations.ts';
import { Pair, type PairOptions } from './pair.ts';

/** Runs `body` with a fresh pair of the implementations in question. */
export type WithPair = (options: PairOptions, body: (pair: Pair) => Promise<void>) => Promise<void>;

/**
 * A suite that is run for every pair of implementations; the left one starts handshakes. Tests that
 * mostly wait can run some at a time (`concurrent`), each in namespaces of its own.
 */
export function forEveryPair(
  suite: string,
  body: (withPair: WithPair, implementations: readonly [Implementation, Implementation]) => void,
  needs: readonly string[] = [],
  { concurrent = false }: { concurrent?: boolean } = {},
): void {
  requires(...INTEROP_NEEDS, ...needs)(suite, () => {
    for (const implementations of PAIRS) {
      const [left, right] = implementations;
      const pairSuite = concurrent ? describe.concurrent : describe;
      pairSuite(`${left.name} to ${right.name}`, () => {
        body((options, run) => Pair.with(implementations, options, run), implementations);
      });
    }
  });
}
