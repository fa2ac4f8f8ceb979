import type { Json } from '../record/canonical-json.ts';
import type { JsonType, Schema } from './schema.ts';

type Properties = Readonly<Record<string, Schema>>;

/** An object that has all of `required`, may have any of `optional`, and has no other field. */
export function exactly<
  const Required extends Properties,
  const Optional extends Properties = Readonly<Record<never, Schema>>,
>(required: Required, optional?: Optional) {
  return {
    type: 'object',
    required: Object.keys(required) as readonly (keyof Required & string)[],
    additionalProperties: false,
    properties: { ...required, ...optional } as Required & Optional,
  } as const satisfies Schema;
}

/** An object that has all of `required`, may have any of `optional`; of whatever else it has nothing is known. */
export function atLeast<
  const Required extends Properties,
  const Optional extends Properties = Readonly<Record<never, Schema>>,
>(required: Required, optional?: Optional) {
  return {
    type: 'object',
    required: Object.keys(required) as readonly (keyof Required & string)[],
    properties: { ...required, ...optional } as Required & Optional,
  } as const satisfies Schema;
}

/** An object whose every field, whatever its name, is a `value`. */
export function mapOf<const Value extends Schema>(value: Value) {
  return { type: 'object', additionalProperties: value } as const satisfies Schema;
}

/** What conforms to the schema `S`, as `violation` judges it. */
export type FromSchema<S extends Schema> = S extends { readonly const: infer Value }
  ? Value
  : S extends { readonly enum: readonly (infer Value)[] }
    ? Value
    : S extends { readonly type: infer Type }
      ? OfType<S, Type extends readonly (infer One)[] ? One : Type>
      : unknown;

/** One for each of the types in `Type`. */
type OfType<S, Type> = Type extends JsonType
  ? Type extends 'object'
    ? OfObject<S>
    : Type extends 'array'
      ? readonly (S extends { readonly items: infer Item extends Schema }
          ? FromSchema<Item>
          : unknown)[]
      : Simple[Type]
  : never;

interface Simple {
  readonly object: { readonly [name: string]: Json };
  readonly array: readonly unknown[];
  readonly string: string;
  readonly number: number;
  readonly integer: number;
  readonly boolean: boolean;
  readonly null: null;
}

type OfObject<S> = S extends { readonly properties: infer P extends Properties }
  ? Fields<P, S extends { readonly required: readonly (infer Name)[] } ? Name : never>
  : S extends { readonly additionalProperties: infer Value extends Schema }
    ? { readonly [name: string]: FromSchema<Value> }
    : Simple['object'];

/** Written out, so that editors show fields and not how they came about. */
type Fields<P extends Properties, Needed> = {
  readonly [Name in keyof P as Name extends Needed ? Name : never]: FromSchema<P[Name]>;
} & {
  readonly [Name in keyof P as Name extends Needed ? never : Name]?: FromSchema<P[Name]>;
} extends infer All
  ? { readonly [Name in keyof All]: All[Name] }
  : never;
