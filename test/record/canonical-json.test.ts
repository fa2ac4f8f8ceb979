import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalJson, isCanonicalJson, type Json } from '../../src/record/canonical-json.ts';

test('the example of RFC 8785, section 3.2.3', () => {
  const value = JSON.parse(
    '{"\\u20ac":"Euro Sign","\\r":"Carriage Return","\\ufb33":"Hebrew Letter Dalet With Dagesh",' +
      '"1":"One","\\ud83d\\ude00":"Emoji: Grinning Face","\\u0080":"Control","\\u00f6":"Latin Small Letter O With Diaeresis"}',
  ) as Json;
  expect(canonicalJson(value)).toBe(
    '{"\\r":"Carriage Return","1":"One","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis",' +
      '"\u20ac":"Euro Sign","\ud83d\ude00":"Emoji: Grinning Face","\ufb33":"Hebrew Letter Dalet With Dagesh"}',
  );
});

test('a value has one text, however its members are ordered', () => {
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: 'grapheme' }), (value) => {
      const text = canonicalJson(value as Json);
      const turned = JSON.parse(text, (_name, one: unknown) =>
        one !== null && typeof one === 'object' && !Array.isArray(one)
          ? Object.fromEntries(Object.entries(one).reverse())
          : one,
      ) as Json;
      expect(turned).toEqual(JSON.parse(JSON.stringify(value)));
      return canonicalJson(turned) === text;
    }),
  );
});

test('its text is told from any other of the same value', () => {
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: 'binary' }), fc.boolean(), (value, isSorted) => {
      const text =
        isSorted && isWellFormed(value) ? canonicalJson(value as Json) : JSON.stringify(value);
      const read = JSON.parse(text) as Json;
      const isOne = isWellFormed(value) && canonicalJson(read) === text;
      return isCanonicalJson(text, read) === isOne;
    }),
  );
});

test.each([
  ['{"10":1,"9":2}', true], // read, 9 comes first
  ['{"9":1,"10":2}', false],
  ['{"b":1,"a":2}', false],
  ['{"a":{"c":1,"b":2}}', false],
  ['[{"b":1,"a":2}]', false],
  ['{"a":1, "b":2}', false],
  ['{"a":1,"a":1}', false],
  ['1.0', false],
  ['-0', false],
  ['1e3', false],
  ['"\\u0061"', false],
  ['"\\ud800"', false],
  ['{"\\udc00":1}', false],
  ['"\\\\ud800"', true], // a backslash and text
])('%s is canonical: %s', (text, is) => {
  expect(isCanonicalJson(text, JSON.parse(text) as Json)).toBe(is);
});

function isWellFormed(value: unknown): boolean {
  return !/(?<!\\)(\\\\)*\\ud/.test(JSON.stringify(value));
}

test.each([Number.NaN, Number.POSITIVE_INFINITY, '\ud800', { '\udc00': 1 }])(
  '%s has none',
  (value) => {
    expect(() => canonicalJson(value)).toThrow(RangeError);
  },
);
