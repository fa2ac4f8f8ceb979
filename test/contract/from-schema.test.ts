import { expect, expectTypeOf, test } from 'vitest';
import { atLeast, exactly, type FromSchema, mapOf } from '../../src/contract/from-schema.ts';
import { violation } from '../../src/contract/schema.ts';
import type { Json } from '../../src/record/canonical-json.ts';

const schema = exactly(
  {
    name: { type: 'string' },
    kind: { type: 'string', const: 'a' },
    level: { enum: ['low', 'high'] },
    size: { type: ['integer', 'null'] },
    list: { type: 'array', items: exactly({ on: { type: 'boolean' } }) },
    some: { type: 'object' },
  },
  { score: { type: 'number' } },
);

const example: FromSchema<typeof schema> = {
  name: 'n',
  kind: 'a',
  level: 'low',
  size: null,
  list: [{ on: true }],
  some: {},
};

test('the type says what the schema takes', () => {
  expectTypeOf<FromSchema<typeof schema>>().toEqualTypeOf<{
    readonly name: string;
    readonly kind: 'a';
    readonly level: 'low' | 'high';
    readonly size: number | null;
    readonly list: readonly { readonly on: boolean }[];
    readonly some: { readonly [name: string]: Json };
    readonly score?: number;
  }>();
  expect(violation(schema, example)).toBeUndefined();
  expect(violation(schema, { ...example, score: 1 })).toBeUndefined();
});

test('all that is required must be there, and nothing else', () => {
  for (const field of Object.keys(example)) {
    expect(violation(schema, { ...example, [field]: undefined })).toMatchObject({ field });
  }
  const { size, ...rest } = example;
  expect(size).toBeNull();
  expect(violation(schema, rest)).toMatchObject({ field: 'size' });
  const surplus = { field: '"more"', expected: 'no such field' };
  expect(violation(schema, { ...example, more: 1 })).toEqual(surplus);
});

test('an open object has what it must have, and may have more', () => {
  const open = atLeast({ on: { type: 'boolean' } });
  expectTypeOf<FromSchema<typeof open>>().toEqualTypeOf<{ readonly on: boolean }>();
  expect(violation(open, { on: true, more: 1 })).toBeUndefined();
  expect(violation(open, { more: 1 })).toMatchObject({ field: 'on' });
});

test('a map has fields of any name, all of one kind', () => {
  const map = mapOf(exactly({ on: { type: 'boolean' } }));
  expectTypeOf<FromSchema<typeof map>>().toEqualTypeOf<{
    readonly [name: string]: { readonly on: boolean };
  }>();
  expect(violation(map, {})).toBeUndefined();
  expect(violation(map, { a: { on: true }, b: { on: false } })).toBeUndefined();
  expect(violation(map, { a: { on: true }, b: { on: 1 } })).toMatchObject({ field: '"b".on' });
});
