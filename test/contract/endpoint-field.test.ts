import fc from 'fast-check';
import { expect, test } from 'vitest';
import { endpointField } from '../../src/contract/fields.ts';
import { violation } from '../../src/contract/schema.ts';
import { formatEndpoint, parseEndpoint } from '../../src/wire/address-text.ts';

const taken = (text: string) => violation(endpointField, text) === undefined;

const cases = [
  '192.0.2.1:51820',
  '192.0.2.1:0',
  '192.0.2.1:051820',
  '192.0.2.1:65536',
  '192.0.2.01:1',
  '[2001:db8::1]:51820',
  '[::]:1',
  '[::1]:1',
  '[1::]:1',
  '[1:2:3:4:5:6:7:8]:1',
  '[1:2:3:4:5:6:7::]:1',
  '[::2:3:4:5:6:7:8]:1',
  '[1:2:3:4:5:6:1.2.3.4]:1',
  '[::1.2.3.4]:9',
  '[::ffff:192.0.2.1]:80',
  '[::ffff:c000:201]:80',
  '[1::2::3]:5',
  '[1:2:3:4:5:6:7:8:9]:1',
  '[1.2.3.4]:1',
  '[12345::]:1',
  '[:::]:1',
  '[1:2]:1',
  'example.org:1',
];

test('a signed document takes an endpoint exactly if it can be read', () => {
  for (const text of cases) expect(taken(text), text).toBe(parseEndpoint(text) !== undefined);
  const piece = fc.constantFrom('::', ':', '.', '1', 'f00', '0', '01', '255', '256', 'abcd');
  const address = fc.array(piece, { maxLength: 16 }).map((pieces) => pieces.join(''));
  fc.assert(
    fc.property(
      address,
      fc.boolean(),
      fc.constantFrom(':1', ':0', ':99999', ''),
      (host, v6, port) => {
        const text = v6 ? `[${host}]${port}` : `${host}${port}`;
        expect(taken(text)).toBe(parseEndpoint(text) !== undefined);
      },
    ),
    { numRuns: 5000 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
      expect(taken(formatEndpoint({ family: 6, address: bytes, port: 1, scope: 0 }))).toBe(true);
    }),
  );
});

test('a scope or upper case has no place in a document that others read', () => {
  expect(taken('[fe80::1%3]:51820')).toBe(false);
  expect(taken('[2001:DB8::1]:51820')).toBe(false);
});
