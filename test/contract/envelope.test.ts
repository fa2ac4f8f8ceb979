import { expect, test } from 'vitest';
import {
  openEnvelope,
  PAYLOAD_TYPES,
  preAuthEncoding,
  readEnvelope,
  signEnvelope,
} from '../../src/contract/envelope.ts';
import type { Schema } from '../../src/contract/schema.ts';
import { defaultProvider } from '../../src/crypto/select.ts';

const crypto = defaultProvider();
const seed = new Uint8Array(32).fill(1);
const key = crypto.ed25519Public(seed);
const schema: Schema = {
  type: 'object',
  required: ['n'],
  additionalProperties: false,
  properties: { n: { type: 'integer' } },
};
const signed = () => signEnvelope(crypto, seed, PAYLOAD_TYPES.benchmark, { n: 1 });

function code(value: unknown, keys = [key], type = PAYLOAD_TYPES.benchmark): string {
  const result = openEnvelope(crypto, value, type, schema, keys);
  return result.ok ? 'ok' : result.problem.code;
}

test('the pre-authentication encoding is the one DSSE specifies', () => {
  const encoded = preAuthEncoding(
    'http://example.com/HelloWorld',
    new TextEncoder().encode('hello world'),
  );
  expect(new TextDecoder().decode(encoded)).toBe(
    'DSSEv1 29 http://example.com/HelloWorld 11 hello world',
  );
});

test('an envelope opens under its signer only', () => {
  expect(code(signed())).toBe('ok');
  const other = crypto.ed25519Public(new Uint8Array(32).fill(2));
  expect(code(signed(), [other])).toBe('envelope_signature');
  expect(code(signed(), [other, key])).toBe('ok');
  expect(code(signed(), [])).toBe('envelope_signature');
});

test('keyid selects among the expected signers and cannot add one', () => {
  const envelope = signed();
  const keyid = 'AAAAAAAAAAAAAAAAAAAAAA';
  const renamed = { ...envelope, signatures: [{ ...envelope.signatures[0]!, keyid }] };
  expect(code(renamed)).toBe('envelope_signature');
});

test('a message cannot be taken for one of another kind', () => {
  const relabelled = { ...signed(), payloadType: PAYLOAD_TYPES.config };
  expect(code(relabelled)).toBe('envelope_type');
  const result = openEnvelope(crypto, relabelled, PAYLOAD_TYPES.config, schema, [key]);
  expect(!result.ok && result.problem.code).toBe('envelope_signature');
});

test('every changed byte of payload or signature is noticed', () => {
  const envelope = signed();
  const payload = Buffer.from(envelope.payload, 'base64');
  for (let i = 0; i < payload.length; i++) {
    const changed = Buffer.from(payload);
    changed[i]! ^= 1;
    expect(code({ ...envelope, payload: changed.toString('base64') })).not.toBe('ok');
  }
  const sig = Buffer.from(envelope.signatures[0]!.sig, 'base64');
  for (let i = 0; i < sig.length; i++) {
    const changed = Buffer.from(sig);
    changed[i]! ^= 0x80;
    const signatures = [{ ...envelope.signatures[0]!, sig: changed.toString('base64') }];
    expect(code({ ...envelope, signatures })).toBe('envelope_signature');
  }
});

test('malformed envelopes are named, not thrown', () => {
  const good = signed();
  const bad: [unknown, string][] = [
    [null, 'envelope_malformed'],
    [[], 'envelope_malformed'],
    [{}, 'envelope_malformed'],
    [{ ...good, extra: 1 }, 'envelope_malformed'],
    [JSON.parse('{"__proto__": {}, "payloadType": "x"}'), 'envelope_malformed'],
    [{ ...good, signatures: [] }, 'envelope_malformed'],
    [{ ...good, signatures: Array(9).fill(good.signatures[0]) }, 'envelope_malformed'],
    [{ ...good, payload: `${good.payload.slice(0, -1)} ` }, 'envelope_malformed'],
    [{ ...good, payload: good.payload.replaceAll('=', '') }, 'envelope_malformed'],
    [{ ...good, payload: Buffer.from('{"n":').toString('base64') }, 'envelope_malformed'],
    [{ ...good, payload: Buffer.from([0xff, 0xfe]).toString('base64') }, 'envelope_malformed'],
    [{ ...good, payload: Buffer.from('{"n":1.5}').toString('base64') }, 'invalid_field'],
    [{ ...good, payload: Buffer.from('{"n":1e309}').toString('base64') }, 'invalid_field'],
  ];
  for (const [value, expected] of bad) expect(code(value)).toBe(expected);
  expect(readEnvelope(good, PAYLOAD_TYPES.benchmark, schema).ok).toBe(true);
});
