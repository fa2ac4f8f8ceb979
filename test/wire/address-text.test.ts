import { isIP } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  formatAddress,
  formatEndpoint,
  formatPrefix,
  parseAddress,
  parseEndpoint,
  parsePrefix,
} from '../../src/wire/address-text.ts';

const none = () => undefined;
const bytes = (hex: string) => Uint8Array.fromHex(hex);

/** Slow and obvious: every group of the address written out. */
function expanded(address: Uint8Array): string {
  const groups: string[] = [];
  for (let at = 0; at < 16; at += 2) {
    groups.push(address.subarray(at, at + 2).toHex());
  }
  return groups.join(':');
}

const ipv6 = fc
  .array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 255 })), {
    minLength: 16,
    maxLength: 16,
  })
  .map((values) => Uint8Array.from(values));

test('reads back every address it writes, and every group written out', () => {
  fc.assert(
    fc.property(ipv6, (address) => {
      expect(parseAddress(formatAddress(address))).toEqual(address);
      expect(parseAddress(expanded(address))).toEqual(address);
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 4, maxLength: 4 }), (address) => {
      expect(parseAddress(formatAddress(address))).toEqual(address);
    }),
  );
});

test('writes IPv6 as RFC 5952 wants it, which is how the URL parser does it too', () => {
  fc.assert(
    fc.property(
      ipv6.filter((address) => address[10] !== 0xff),
      (address) => {
        const host = new URL(`http://[${expanded(address)}]/`).hostname;
        expect(`[${formatAddress(address)}]`).toBe(host);
      },
    ),
  );
  expect(formatAddress(bytes('00000000000000000000ffff01020304'))).toBe('::ffff:1.2.3.4');
});

test('accepts exactly what is an address', () => {
  const piece = fc.constantFrom('::', ':', '.', '1', 'f00', '0', '01', '255', '256', 'abcd', '/');
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join('')),
      (text) => {
        expect(parseAddress(text) !== undefined).toBe(isIP(text) !== 0);
      },
    ),
    { numRuns: 3000 },
  );
  for (const text of ['1:2:3:4:5:6:7::', '::2:3:4:5:6:7:8', '::', '1::1.2.3.4', '::ffff:1.2.3.4']) {
    expect(parseAddress(text), text).toBeDefined();
  }
  for (const text of ['1:2:3:4:5:6:7:8::', '::1::', '1.2.3.4::', '1:2:3:4:5:6:7:1.2.3.4', ':::']) {
    expect(parseAddress(text), text).toBeUndefined();
  }
});

test('clears the bits behind a prefix', () => {
  const cases: [string, string][] = [
    ['10.1.2.3/32', '10.1.2.3/32'],
    ['10.1.2.255/25', '10.1.2.128/25'],
    ['10.1.2.3/8', '10.0.0.0/8'],
    ['10.1.2.3/0', '0.0.0.0/0'],
    ['2001:db8::ffff/126', '2001:db8::fffc/126'],
    ['ffff::/9', 'ff80::/9'],
    ['::1/0', '::/0'],
    ['::ffff:10.1.2.3/128', '::ffff:10.1.2.3/128'],
  ];
  for (const [text, normal] of cases) expect(formatPrefix(parsePrefix(text)!)).toBe(normal);
});

test('refuses malformed prefixes', () => {
  for (const text of ['10.0.0.0', '10.0.0.0/', '10.0.0.0/33', '10.0.0.0/08', '::/129', '/8']) {
    expect(parsePrefix(text), text).toBeUndefined();
  }
  for (const text of ['10.0.0.0/+8', '10.0.0.0/8/8', 'fe80::%1/64', '10.0.0.0/ 8', '1.2.3/8']) {
    expect(parsePrefix(text), text).toBeUndefined();
  }
});

test('reads and writes endpoints with their scopes', () => {
  for (const text of ['1.2.3.4:51820', '[2001:db8::1]:1', '[fe80::1%3]:65535', '[::1]:1']) {
    expect(formatEndpoint(parseEndpoint(text, none)!)).toBe(text);
  }
  const named = parseEndpoint('[fe80::1%eth0]:7', (name) => (name === 'eth0' ? 12 : undefined));
  expect(named).toEqual({
    family: 6,
    address: bytes('fe800000000000000000000000000001'),
    port: 7,
    scope: 12,
  });
});

test('an endpoint written in another way is the same endpoint', () => {
  expect(formatEndpoint(parseEndpoint('[2001:DB8:0::0:1]:2')!)).toBe('[2001:db8::1]:2');
});

test('takes an IPv4-mapped endpoint for what it is', () => {
  expect(parseEndpoint('[::ffff:192.0.2.1]:9', none)).toEqual({
    family: 4,
    address: Uint8Array.of(192, 0, 2, 1),
    port: 9,
    scope: 0,
  });
});

test('refuses malformed endpoints', () => {
  const malformed = [
    '1.2.3.4',
    '1.2.3.4:',
    '1.2.3.4:65536',
    '1.2.3.4:0',
    '1.2.3.4:051820',
    '[1::2::3]:5',
    '1.2.3.4:+1',
    '[1.2.3.4]:1',
    '2001:db8::1:1',
    '[2001:db8::1]',
    '[fe80::1%]:1',
    '[fe80::1%nosuch]:1',
    '[fe80::1%4294967296]:1',
    '1.2.3.4%1:1',
    '[::ffff:1.2.3.4%1]:1',
    'example.org:51820',
    ':51820',
    '',
  ];
  for (const text of malformed) expect(parseEndpoint(text, none), text).toBeUndefined();
});
