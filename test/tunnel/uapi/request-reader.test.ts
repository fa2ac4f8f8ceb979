import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Request, RequestReader } from '../../../src/tunnel/uapi/request-reader.ts';

const line = fc.stringMatching(/^[a-z_]{1,8}=[a-z0-9]{0,8}$/);
const request = fc.record({
  operation: fc.constantFrom<'get' | 'set'>('get', 'set'),
  lines: fc.array(line, { maxLength: 6 }),
});
const text = ({ operation, lines }: Request) => [`${operation}=1`, ...lines, '', ''].join('\n');

test('finds the same requests however the stream is cut', () => {
  fc.assert(
    fc.property(
      fc.array(request, { maxLength: 4 }),
      fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1 }),
      (requests, cuts) => {
        const stream = Buffer.from(requests.map(text).join(''));
        const reader = new RequestReader();
        const found: Request[] = [];
        for (let at = 0, cut = 0; at < stream.length; cut++) {
          const length = cuts[cut % cuts.length]!;
          found.push(...reader.push(Buffer.from(stream.subarray(at, at + length)))!);
          at += length;
        }
        expect(found).toEqual(requests);
        expect(reader.partial).toBe(false);
      },
    ),
  );
});

test('gives up on what does not start like a request', () => {
  for (const garbage of ['\n', 'GET / HTTP/1.1\r\n', 'get=2\n\n', 'set=1x', 'gex', '\0\0\0']) {
    expect(new RequestReader().push(Buffer.from(garbage)), garbage).toBeUndefined();
    const second = new RequestReader();
    expect(second.push(Buffer.from(`get=1\n\n${garbage}`))).toBeUndefined();
  }
});

test('gives up on a request that is too long, and not before', () => {
  const reader = new RequestReader(100);
  expect(reader.push(Buffer.from(`set=1\n${'a'.repeat(92)}\n\n`))).toHaveLength(1);
  expect(reader.push(Buffer.from(`set=1\n${'a'.repeat(93)}`))).toEqual([]);
  expect(reader.push(Buffer.from('aa'))).toBeUndefined();
});

test('overwrites what it took, for it may have been a key', () => {
  const chunk = Buffer.from('set=1\nprivate_key=secret\n\n');
  const reader = new RequestReader();
  reader.push(chunk);
  expect(chunk.every((byte) => byte === 0)).toBe(true);
  const partial = Buffer.from('set=1\nprivate_key=secret');
  reader.push(partial);
  reader.clear();
  expect(partial.every((byte) => byte === 0)).toBe(true);
});
