import type { Leaf } from '../../contract/record/leaf.ts';

/** Base64 of every key that could sign a score under these leaves: of nodes, and of evaluators. */
export function keysOfLog(leaves: readonly Leaf[]): Set<string> {
  return new Set(
    leaves.flatMap((leaf) => {
      if (leaf.event === 'enrolled') return [leaf.keys.signing];
      return leaf.event === 'policy' ? (leaf.policy.evaluators as readonly string[]) : [];
    }),
  );
}
