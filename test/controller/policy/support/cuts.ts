import type { CutParameters } from '../../../../src/controller/policy.ts';

const kOfN = (failed: number, of: number): CutParameters => ({ kind: 'k_of_n', of, failed });
const cusum = (ref: number, h: number): CutParameters => ({ kind: 'cusum', ref, h });

/** The rules that tests measure. */
export const CUTS = {
  '1 of 1': kOfN(1, 1),
  '2 of 2': kOfN(2, 2),
  '3 of 3': kOfN(3, 3),
  '2 of 3': kOfN(2, 3),
  '3 of 5': kOfN(3, 5),
  'cusum .75 .2': cusum(0.75, 0.2),
  'cusum .75 .3': cusum(0.75, 0.3),
  'cusum .70 .15': cusum(0.7, 0.15),
  'confidence .95': { kind: 'confidence', level: 0.95 },
} satisfies Record<string, CutParameters>;
