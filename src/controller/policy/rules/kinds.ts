import { confidence } from './confidence.ts';
import { cusum } from './cusum.ts';
import type { CutRule } from './cut-rule.ts';
import { kOfN } from './k-of-n.ts';

/** Every kind of rule that cuts, by its name. */
const KINDS = { k_of_n: kOfN, cusum, confidence } as const;

type Kind = keyof typeof KINDS;

type ParametersOf<Rule> = Rule extends CutRule<infer Parameters, infer _> ? Parameters : never;
type GivenOf<Rule> = Rule extends CutRule<infer _, infer Given> ? Given : never;

/** When values cut a member: which rule, and its parameters. */
export type CutParameters = {
  readonly [K in Kind]: { readonly kind: K } & ParametersOf<(typeof KINDS)[K]>;
}[Kind];

/** The same as it is given: without what follows from the threshold. */
export type GivenCut = {
  readonly [K in Kind]: { readonly kind: K } & GivenOf<(typeof KINDS)[K]>;
}[Kind];

/** The rule of a kind, to be asked with parameters of that kind. */
export function cutRule(kind: Kind): CutRule<CutParameters, GivenCut> {
  return KINDS[kind] as unknown as CutRule<CutParameters, GivenCut>;
}

export const CUT_KINDS = Object.keys(KINDS) as readonly Kind[];
