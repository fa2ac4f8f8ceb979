import { expect, test } from 'vitest';
import { openConfig } from '../../src/contract/config.ts';
import { PAYLOAD_TYPES, type PayloadType, signEnvelope } from '../../src/contract/envelope.ts';
import { PROTOCOL, protocolAcceptable, protocolSpoken } from '../../src/contract/protocol.ts';
import { defaultProvider } from '../../src/crypto/select.ts';

const spoken = (query: string, own?: number) => {
  const checked = protocolSpoken(query, own);
  return checked.ok ? checked.value : checked.problem;
};

test('neighbours speak the smaller number of the two; who says none, the first', () => {
  expect(spoken('?protocol=4', 4)).toBe(4);
  expect(spoken('?protocol=3', 4)).toBe(3);
  expect(spoken('?protocol=5', 4)).toBe(4);
  expect(spoken('?', 2)).toBe(1);
  expect(spoken('?endpoint=192.0.2.1%3A51820&protocol=2', 2)).toBe(2);
});

test('who names none is no agent, or one of the first protocol: other calls go on', () => {
  expect(protocolAcceptable('?', 4)).toMatchObject({ ok: true });
  expect(protocolAcceptable('?protocol=3', 4)).toMatchObject({ ok: true });
  const refused = { ok: false, problem: { code: 'protocol_unsupported' } };
  expect(protocolAcceptable('?protocol=1', 4)).toMatchObject(refused);
  expect(protocolAcceptable('?protocol=x', 4).ok).toBe(false);
});

test('who is further away is told what to upgrade', () => {
  const refused = { code: 'protocol_unsupported', status: 400, field: 'protocol' };
  const expected = 'a number from 3 to 5';
  const said = 'The caller speaks protocol 6, this controller 4. Upgrade the controller first.';
  expect(spoken('?protocol=6', 4)).toMatchObject({ ...refused, expected, detail: said });
  expect(spoken('?protocol=2', 4)).toMatchObject({
    ...refused,
    detail: 'The caller speaks protocol 2, this controller 4. Upgrade the node first.',
  });
  expect(spoken('?', 4)).toMatchObject(refused);
  expect(spoken('?protocol=9', 1)).toMatchObject({ ...refused, expected: 'a number from 1 to 2' });
});

test.each(['', '0', '-1', '01', '1.5', '2x', '1e1', '0x2', '1000000', '2&protocol=2', '%32%00'])(
  'no number: %j',
  (text) => {
    expect(spoken(`?protocol=${text}`)).toMatchObject({ code: 'invalid_field', field: 'protocol' });
  },
);

const crypto = defaultProvider();
const seed = new Uint8Array(32).fill(1);
const signers = [crypto.ed25519Public(seed)];
const first = {
  mesh_id: Buffer.alloc(32).toString('base64'),
  audience: 'node-a',
  epoch: 1,
  version: 1,
  nonce: 'A'.repeat(22),
  issued_at: 1,
  lifetime_s: 180,
  epoch_s: 60,
  grace_s: 20,
  allowed: false,
  reason: 'no_score',
  explanation: 'because',
  tunnel_address: '10.10.0.2',
  tunnel_prefix: '10.10.0.0/24',
  peers: [],
  roster: [],
  sealed_psks: null,
};
const opened = (type: PayloadType, document: object) => {
  const config = openConfig(crypto, signEnvelope(crypto, seed, type, document), signers);
  return config.ok ? config.value : config.problem;
};

test('each version of a config has exactly its own fields', () => {
  const { config, configOfProtocol1 } = PAYLOAD_TYPES;
  const second = { ...first, protocol: PROTOCOL, header: null };
  expect(opened(configOfProtocol1, first)).toEqual({ ...first, protocol: 1, header: null });
  expect(opened(config, second)).toEqual(second);
  const missing = { code: 'invalid_field', field: 'protocol' };
  expect(opened(config, { ...first, header: null })).toMatchObject(missing);
  const surplus = { code: 'invalid_field', field: '"protocol"', expected: 'no such field' };
  expect(opened(configOfProtocol1, { ...first, protocol: PROTOCOL })).toMatchObject(surplus);
  expect(opened(PAYLOAD_TYPES.benchmark, first)).toMatchObject({ code: 'envelope_type' });
});
