import { expect, test } from 'vitest';
import { toBase64 } from '../../../src/contract/encoding.ts';
import { type Envelope, PAYLOAD_TYPES, signEnvelope } from '../../../src/contract/envelope.ts';
import { type HeaderDocument, openHeader } from '../../../src/contract/epoch/header.ts';
import { defaultProvider } from '../../../src/crypto/select.ts';

const crypto = defaultProvider();
const seed = new Uint8Array(32).fill(1);
const key = crypto.ed25519Public(seed);
const meshId = toBase64(new Uint8Array(32).fill(9));
const header: HeaderDocument = {
  mesh_id: meshId,
  audience: 'members',
  epoch: 3,
  version: 4,
  previous: null,
  issued_at: 1000,
  epoch_s: 60,
  lifetime_s: 180,
  grace_s: 20,
  count: 0,
  members_root: meshId,
  keys: 'config',
  changes: { removed: [], added: [], changed: [] },
};
const sign = (fields: object = {}, signingSeed = seed): Envelope =>
  signEnvelope(crypto, signingSeed, PAYLOAD_TYPES.header, { ...header, ...fields });
const code = (envelope: Envelope, keys = [key]): string => {
  const opened = openHeader(crypto, envelope, meshId, keys);
  return opened.ok ? 'ok' : `${opened.problem.code} ${opened.problem.field ?? ''}`.trim();
};

test('opens under the key of a controller of this mesh only', () => {
  expect(code(sign())).toBe('ok');
  expect(code(sign({}, new Uint8Array(32).fill(2)))).toBe('envelope_signature');
  expect(code(sign({ mesh_id: toBase64(key) }))).toBe('wrong_mesh mesh_id');
  const event = signEnvelope(crypto, seed, PAYLOAD_TYPES.streamEvent, header);
  expect(code(event)).toBe('envelope_type payloadType');
});

test('one signature of several is enough, and the name is the same whoever signed', () => {
  const other = new Uint8Array(32).fill(2);
  const both = {
    ...sign(),
    signatures: [...sign({}, other).signatures, ...sign().signatures],
  };
  expect(code(both)).toBe('ok');
  expect(code(both, [crypto.ed25519Public(other)])).toBe('ok');
  const hashes = [sign(), both].map((envelope) => {
    const opened = openHeader(crypto, envelope, meshId, [key]);
    return opened.ok && toBase64(opened.value.hash);
  });
  expect(hashes[0]).toBe(hashes[1]);
});

test('a field that a later version adds is signed with the rest, and does not matter yet', () => {
  expect(code(sign({ tomorrow: { anything: [1] } }))).toBe('ok');
});

test.each([
  ['count', { count: -1 }],
  ['previous', { previous: 'x' }],
  ['members_root', { members_root: '' }],
  ['changes.removed', { changes: { removed: null, added: [], changed: [] } }],
  ['changes.added[0]', { changes: { removed: [], added: ['A'], changed: [] } }],
  ['changes', { changes: { removed: [], added: null, changed: [] } }],
  ['lifetime_s', { lifetime_s: 0 }],
])('%s must be what the schema says', (field, fields) => {
  expect(code(sign(fields))).toBe(`invalid_field ${field}`);
});
