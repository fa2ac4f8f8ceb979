/** `pairwise`: a base for each pair, told to its two ends. `group`: one base, told to all members. */
export const SEAL_KINDS = ['pairwise', 'group'] as const;
export type SealKind = (typeof SEAL_KINDS)[number];
