import { SettingsError } from '../../settings-error.ts';
import { integer } from '../bounds.ts';
import { shown } from '../decimals.ts';
import { MOST_VALUES } from '../most-values.ts';
import type { CutRule } from './cut-rule.ts';

/** At least `failed` of the last `of` values are under the threshold. 1 of 1: the last one is. */
export interface KOfNParameters {
  readonly of: number;
  readonly failed: number;
}

/**
 * Cuts when at least `failed` of the last `of` values are under the threshold and the last one is:
 * a node that has recovered while something kept it in is not cut for the past. `amount` is how
 * many of them failed.
 */
export const kOfN: CutRule<KOfNParameters> = {
  fields: { of: { type: 'integer' }, failed: { type: 'integer' } },
  read({ of, failed }, field) {
    if (of === undefined) throw new SettingsError(`${field}.of`, 'an integer');
    if (failed === undefined) throw new SettingsError(`${field}.failed`, 'an integer');
    return { of: of as number, failed: failed as number };
  },
  write: ({ of, failed }) => ({ of, failed }),
  complete: (given) => given,
  check({ of, failed }, field) {
    integer(`${field}.of`, of, 1, MOST_VALUES);
    integer(`${field}.failed`, failed, 1, of);
  },
  ask({ values, threshold }, { of, failed }) {
    const amount = values.slice(-of).filter((one) => one < threshold).length;
    return { cuts: amount >= failed && values.at(-1)! < threshold, amount };
  },
  line: ({ of, failed }) => (of > 1 ? `after ${failed} of ${of} epochs failed` : undefined),
  counted({ values, threshold }, amount, { of }) {
    if (of === 1 || amount === 0) return '';
    const looked = Math.min(of, values.length);
    return `; failed ${amount} of the last ${looked} epochs: ${shown(values, looked, threshold)}`;
  },
};
