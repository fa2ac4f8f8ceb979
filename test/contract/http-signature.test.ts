import { expect, test } from 'vitest';
import {
  type RequestParts,
  readSignature,
  SIGNATURE_TAGS,
  signatureIsValid,
  signRequest,
  splitTarget,
} from '../../src/contract/http-signature.ts';
import { defaultProvider } from '../../src/crypto/select.ts';

const crypto = defaultProvider();
const seed = new Uint8Array(32).fill(3);
const key = crypto.ed25519Public(seed);
const request: RequestParts = {
  method: 'GET',
  authority: 'controller.example:8443',
  ...splitTarget('/v1/config/node-a?x=1'),
};
const parameters = {
  created: 1_700_000_000,
  nonce: 'AAAAAAAAAAAAAAAAAAAAAA',
  tag: SIGNATURE_TAGS.config,
};

function valid(
  headers: Record<string, string>,
  received: RequestParts = request,
  publicKey = key,
  tag = SIGNATURE_TAGS.config as (typeof SIGNATURE_TAGS)[keyof typeof SIGNATURE_TAGS],
): boolean | string {
  const read = readSignature(headers);
  if (!read.ok) return read.problem.code;
  return signatureIsValid(crypto, publicKey, received, read.value, tag);
}

test('a signed request verifies under its key and purpose', () => {
  const headers = signRequest(crypto, seed, request, parameters);
  expect(valid(headers)).toBe(true);
  const read = readSignature(headers);
  expect(read.ok && read.value.parameters).toMatchObject({
    created: 1_700_000_000,
    nonce: 'AAAAAAAAAAAAAAAAAAAAAA',
    tag: 'aligned-meshnet-config',
  });
  expect(valid(headers, request, crypto.ed25519Public(new Uint8Array(32)))).toBe(false);
  expect(valid(headers, request, key, SIGNATURE_TAGS.stream)).toBe(false);
});

test('every covered part of the request counts', () => {
  const headers = signRequest(crypto, seed, request, parameters);
  const changes: Partial<RequestParts>[] = [
    { method: 'POST' },
    { authority: 'other.example:8443' },
    { path: '/v1/config/node-b' },
    { query: '?x=2' },
    { query: '?' },
    { body: new Uint8Array() },
  ];
  for (const change of changes) expect(valid(headers, { ...request, ...change })).toBe(false);
  for (const [from, to] of [
    ['1700000000', '1700000001'],
    ['nonce="A', 'nonce="B'],
    ['-config', '-stream'],
  ] as const) {
    const changed = headers['signature-input']!.replace(from, to);
    expect(valid({ ...headers, 'signature-input': changed })).toBe(false);
  }
});

test('a body is signed by its digest', () => {
  const body = new TextEncoder().encode('{}');
  const headers = signRequest(crypto, seed, { ...request, body }, parameters);
  expect(headers['content-digest']).toBe('sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:');
  expect(valid(headers, { ...request, body })).toBe(true);
  expect(valid(headers, { ...request, body: new TextEncoder().encode('[]') })).toBe(false);
  expect(valid(headers, request)).toBe(false);
});

test('unsigned and unreadable signatures are told apart', () => {
  const headers = signRequest(crypto, seed, request, parameters);
  expect(valid({})).toBe('signature_missing');
  const input = headers['signature-input']!;
  for (const bad of [
    '',
    'sig1=()',
    input.replace(' "@query"', ''),
    input.replace('ed25519', 'none'),
    `${input}, sig2=()`,
    input.replace('created=1700000000', 'created=17e8'),
  ]) {
    expect(valid({ ...headers, 'signature-input': bad })).toBe('signature_malformed');
  }
  for (const bad of ['', 'sig1=::', 'sig1=:AAAA:', headers.signature!.slice(0, -2)]) {
    expect(valid({ ...headers, signature: bad })).toBe('signature_malformed');
  }
});

test('the empty query is a question mark', () => {
  expect(splitTarget('/v1/epoch')).toEqual({ path: '/v1/epoch', query: '?' });
  expect(splitTarget('/v1/epoch?a=b?c')).toEqual({ path: '/v1/epoch', query: '?a=b?c' });
});
