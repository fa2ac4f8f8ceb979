import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  onTestFinished,
  test,
  vi,
} from 'vitest';
import { toBase64 } from '../../src/contract/encoding.ts';
import { type Envelope, PAYLOAD_TYPES, signPayload } from '../../src/contract/envelope.ts';
import { SIGNATURE_TAGS } from '../../src/contract/http-signature.ts';
import { PROBLEM_MEDIA_TYPE, PROBLEMS } from '../../src/contract/problems.ts';
import { SIGNED_REQUESTS } from '../../src/controller/limits.ts';
import { defaultProvider } from '../../src/crypto/select.ts';
import { rawRequest } from './support/raw-request.ts';
import { type Answer, call, problemOf, TestMesh } from './support/test-mesh.ts';
import { TestNode } from './support/test-node.ts';

const crypto = defaultProvider();
const MIN = 60_000;

let mesh: TestMesh;
let a: TestNode;
let b: TestNode;
beforeAll(async () => {
  mesh = await TestMesh.start();
  a = await mesh.enrol('a', 1);
  b = await mesh.enrol('b', 2);
  await mesh.report(0.9, a, b);
  await mesh.rotate();
});
afterAll(() => mesh.stop());

/** With the sequence that comes next, which the next honest report can still have. */
const score = (fields: object, node = a, seed = node.signing): Envelope =>
  node.score(mesh.meshId, 0.9, mesh.clock.now(), { sequence: node.sequence + 1, ...fields }, seed);

/** An envelope around any payload text, signed as a benchmark of node a. */
const enveloped = (payload: string, type = PAYLOAD_TYPES.benchmark): Envelope =>
  signPayload(crypto, a.signing, type as never, new TextEncoder().encode(payload));

/** A payload with one field written as it stands, for numbers that JSON.stringify does not know. */
const written = (field: string, text: string): Envelope => {
  const payload = Buffer.from(score({}).payload, 'base64').toString();
  return enveloped(payload.replace(new RegExp(`"${field}":[^,}]*`), `"${field}":${text}`));
};

interface Refusal {
  readonly status: number;
  readonly code: keyof typeof PROBLEMS;
  readonly field?: string;
}

function expectProblem(answer: Answer, expected: Refusal): void {
  const { code, field } = expected;
  expect(problemOf(answer)).toMatchObject({ code, ...(field === undefined ? {} : { field }) });
  expect(answer.status).toBe(expected.status);
  expect(answer.headers['content-type']).toContain(PROBLEM_MEDIA_TYPE);
  const problem = problemOf(answer);
  expect(problem).toMatchObject({
    status: answer.status,
    title: PROBLEMS[code].title,
    type: `urn:aligned-meshnet:problem:${code}`,
  });
  // Names field and expectation wherever a field is to blame.
  if (problem.field !== undefined) expect(problem.expected).toMatch(/./);
  if (answer.status === 401) expect(problem.server_time).toBe(mesh.clock.now());
}

describe('a score', () => {
  let before: string;
  beforeEach(async () => {
    // Room in the burst of the honest node, whatever came before.
    await mesh.clock.advance(20_000);
    await mesh.report(0.9, a, b);
    before = mesh.dump();
  });

  const rejected = async (body: unknown, expected: Refusal, nodeId = 'a') => {
    expectProblem(await mesh.post(nodeId, body), expected);
    expect(mesh.dump()).toBe(before);
  };
  afterEach(() => mesh.report(0.9, a)); // the honest node goes on
  const field = (name: string): Refusal => ({ status: 422, code: 'invalid_field', field: name });

  test.each([
    ['null', 'null'],
    ['a string', '"0.9"'],
    ['above 1', '1.0000001'],
    ['below 0', '-0.0001'],
    ['infinite', '1e309'],
    ['minus infinite', '-1e309'],
    ['true', 'true'],
    ['a list', '[0.9]'],
    ['an object', '{"valueOf":1}'],
  ])('that is %s', (_what, text) => rejected(written('score', text), field('score')));

  test('that is NaN is not JSON', () =>
    rejected(written('score', 'NaN'), {
      status: 422,
      code: 'envelope_malformed',
      field: 'payload',
    }));

  test.each([
    ['sequence', '0'],
    ['sequence', '-1'],
    ['sequence', '1.5'],
    ['sequence', '9007199254740992'],
    ['sequence', '"1"'],
    ['samples', '0'],
    ['samples', '0.5'],
    ['samples', '1000000001'],
    ['observed_at', '-1'],
    ['observed_at', '1e30'],
    ['observed_at', 'null'],
    ['suite', '"Alignment"'],
    ['suite', '""'],
    ['suite', `"${'a'.repeat(65)}"`],
    ['node_id', '"A"'],
    ['node_id', '"../b"'],
    ['mesh_id', '"AAAA"'],
    ['audience', '"members"'],
  ])('with %s %s', (name, text) => rejected(written(name, text), field(name)));

  test('with a field too many or too few', async () => {
    const payload = Buffer.from(score({}).payload, 'base64').toString();
    await rejected(enveloped(payload.replace('{', '{"extra":1,')), field('"extra"'));
    await rejected(enveloped(payload.replace(/"score":[^,]*,/, '')), field('score'));
    await rejected(enveloped('{}'), field('mesh_id'));
    await rejected(enveloped('[]'), { status: 422, code: 'invalid_field' });
    await rejected(
      enveloped(payload.replace('{', '{"__proto__":{"score":1},')),
      field('"__proto__"'),
    );
  });

  test('in a malformed envelope', async () => {
    const good = score({});
    const malformed = (name: string): Refusal => ({
      status: 422,
      code: 'envelope_malformed',
      field: name,
    });
    await rejected({ ...good, payload: `${good.payload}!` }, malformed('payload'));
    await rejected({ ...good, payload: '' }, malformed('payload'));
    await rejected({ ...good, payload: 7 }, malformed('payload'));
    await rejected(
      { ...good, payload: toBase64(new Uint8Array([0xff, 0xfe])) },
      malformed('payload'),
    );
    await rejected({ ...good, signatures: [] }, malformed('signatures'));
    await rejected({ ...good, signatures: {} }, malformed('signatures'));
    await rejected({ ...good, signatures: [{ keyid: 'x' }] }, malformed('signatures[0].sig'));
    const many = Array.from({ length: 9 }, () => good.signatures[0]!);
    await rejected({ ...good, signatures: many }, malformed('signatures'));
    await rejected({ ...good, more: 1 }, malformed('"more"'));
    await rejected([], { status: 422, code: 'envelope_malformed' });
    await rejected('"text"', { status: 422, code: 'envelope_malformed' });
    await rejected('null', { status: 422, code: 'envelope_malformed' });
  });

  test('in an envelope of another type, or for another mesh', async () => {
    const payload = Buffer.from(score({}).payload, 'base64').toString();
    const type = { status: 422, code: 'envelope_type', field: 'payloadType' } as const;
    await rejected(enveloped(payload, PAYLOAD_TYPES.keyRecord as never), type);
    const other = toBase64(new Uint8Array(32).fill(1));
    const wrong = { status: 422, code: 'wrong_mesh', field: 'mesh_id' } as const;
    await rejected(score({ mesh_id: other }), wrong);
  });

  test('of another node, or of none', async () => {
    await rejected(score({}), { status: 403, code: 'wrong_node', field: 'node_id' }, 'b');
    const unknown = { status: 404, code: 'unknown_node', field: 'node_id' } as const;
    await rejected(score({ node_id: 'nobody' }), unknown, 'nobody');
    await rejected(score({}), { status: 422, code: 'invalid_field', field: 'node_id' }, 'A%20');
  });

  test('with a bad, absent or foreign signature', async () => {
    const refused = { status: 401, code: 'envelope_signature', field: 'signatures' } as const;
    const good = score({});
    const [signature] = good.signatures;
    const zero = toBase64(new Uint8Array(64));
    await rejected({ ...good, signatures: [{ ...signature!, sig: zero }] }, refused);
    await rejected({ ...good, signatures: [{ ...signature!, keyid: '' }] }, refused);
    await rejected(score({}, a, b.signing), refused);
    const forged = score({}, a, b.signing).signatures[0]!;
    const claimed = [{ keyid: signature!.keyid, sig: forged.sig }];
    await rejected({ ...score({}, a, b.signing), signatures: claimed }, refused);
    const payload = score({ score: 1 }).payload;
    await rejected({ ...good, payload }, refused);
  });

  test('that was sent before, or skips to the end of the sequence', async () => {
    const again = a.sequence;
    const conflict = (code: Refusal['code']) => ({ status: 409, code, field: 'sequence' }) as const;
    await rejected(score({ sequence: again }), conflict('sequence_replayed'));
    await rejected(score({ sequence: 1 }), conflict('sequence_replayed'));
    const end = Number.MAX_SAFE_INTEGER;
    await rejected(score({ sequence: end }), conflict('sequence_too_far'));
    expect(problemOf(await mesh.post('a', score({ sequence: end }))).last).toBe(a.sequence);
  });

  test('from the future or the past', async () => {
    const now = mesh.clock.now();
    const future = { status: 422, code: 'observed_in_future', field: 'observed_at' } as const;
    await rejected(score({ observed_at: now + 30_001 }), future);
    expect(problemOf(await mesh.post('a', score({ observed_at: now + 30_001 }))).server_time).toBe(
      now,
    );
    const past = { status: 409, code: 'observed_decreasing', field: 'observed_at' } as const;
    await rejected(score({ observed_at: now - 1, sequence: a.sequence + 1 }), past);
  });

  test('just inside the bounds is taken', async () => {
    const ahead = a.score(mesh.meshId, 1, mesh.clock.now(), {
      observed_at: mesh.clock.now() + 30_000,
    });
    expect((await mesh.post('a', ahead)).status).toBe(202);
    await mesh.clock.advance(30_000);
  });

  test('of an easy suite of its own', async () => {
    const refused = { status: 422, code: 'unknown_suite', field: 'suite' } as const;
    await rejected(score({ suite: 'easy' }), refused);
  });

  test('of a node run wild: a burst is taken, then no more, and the others go on', async () => {
    await mesh.clock.advance(10_000);
    const statuses: number[] = [];
    for (let i = 0; i < 15; i++) {
      const answer = await mesh.post('a', a.score(mesh.meshId, 0.9, mesh.clock.now()));
      statuses.push(answer.status);
    }
    expect(statuses.filter((status) => status === 202)).toHaveLength(10);
    expect(statuses.slice(10)).toEqual([429, 429, 429, 429, 429]);
    await mesh.report(0.9, b);
    await mesh.clock.advance(10_000);
    await mesh.report(0.9, a);
  });

  test('replayed by somebody else a hundred times costs the node nothing', async () => {
    await mesh.clock.advance(10_000);
    const seen = a.score(mesh.meshId, 0.9, mesh.clock.now());
    expect((await mesh.post('a', seen)).status).toBe(202);
    for (let i = 0; i < 100; i++) expect((await mesh.post('a', seen)).status).toBe(409);
    await mesh.report(0.9, a);
  });
});

describe('an enrolment', () => {
  const enrol = (body: unknown) => call(`${mesh.url}/v1/nodes`, { method: 'POST', body });
  const fresh = () => new TestNode('c', 3);
  let token: string;
  let before: string;
  beforeEach(async () => {
    token = await mesh.token();
    before = mesh.dump();
  });
  const rejected = async (body: unknown, expected: Refusal) => {
    expectProblem(await enrol(body), expected);
    expect(mesh.dump()).toBe(before);
  };

  test('with fields missing, wrong or too many', async () => {
    const good = fresh().enrolment(token);
    await rejected({}, { status: 422, code: 'invalid_field', field: 'request' });
    await rejected({ ...good, proof: 'x' }, { status: 422, code: 'invalid_field', field: 'proof' });
    await rejected({ ...good, x: 1 }, { status: 422, code: 'invalid_field', field: '"x"' });
    await rejected({ ...good, request: {} }, { status: 422, code: 'invalid_field' });
  });

  test('with an unknown, expired, used, foreign or wrongly proven token', async () => {
    const [id, secret, print] = token.split('.') as [string, string, string];
    const other = toBase64(new Uint8Array(32).fill(5)).replace('=', '');
    const bogus = `AAAAAAAAAAAA.${secret}.${print}`;
    await rejected(fresh().enrolment(bogus), {
      status: 401,
      code: 'token_unknown',
      field: 'token_id',
    });
    const wrong = `${id}.${other.replace(/[+/]/g, '_')}.${print}`;
    await rejected(fresh().enrolment(wrong), {
      status: 401,
      code: 'token_invalid',
      field: 'proof',
    });
    const foreign = `${id}.${secret}.${other.replace(/[+/]/g, '_')}`;
    await rejected(fresh().enrolment(foreign), {
      status: 422,
      code: 'wrong_mesh',
      field: 'mesh_id',
    });
    const named = await mesh.token('somebody');
    before = mesh.dump();
    const refused = { status: 403, code: 'token_wrong_node', field: 'node_id' } as const;
    await rejected(fresh().enrolment(named), refused);
    const short = await mesh.token(null, 1);
    await mesh.clock.advance(1000);
    before = mesh.dump();
    const expired = { status: 401, code: 'token_expired', field: 'token_id' } as const;
    await rejected(fresh().enrolment(short), expired);
  });

  test('under the name of another node, or with its keys', async () => {
    const impostor = new TestNode('a', 99);
    const exists = { status: 409, code: 'node_exists', field: 'node_id' } as const;
    await rejected(impostor.enrolment(token), exists);
    const { wireguard, sealing, signing } = a.publicKeys;
    for (const keys of [{ wireguard }, { sealing }, { wireguard: sealing }, { sealing: signing }]) {
      const record = fresh().record(mesh.meshId, keys);
      const inUse = { status: 409, code: 'key_in_use', field: 'record' } as const;
      await rejected(fresh().enrolment(token, { record }), inUse);
    }
    const lie = fresh().enrolment(token, { record: a.record(mesh.meshId) });
    await rejected(lie, { status: 422, code: 'key_record_invalid', field: 'record.node_id' });
    const stolen = a.record(mesh.meshId, { nodeId: 'c' });
    const notHis = fresh().enrolment(token, { record: stolen });
    await rejected(notHis, { status: 401, code: 'envelope_signature' });
  });

  test('with keys that are weak, or one key for two uses', async () => {
    const weak = new Uint8Array(32);
    const invalid = (name: string) =>
      ({ status: 422, code: 'key_record_invalid', field: name }) as const;
    const node = fresh();
    const { wireguard } = node.publicKeys;
    const of = (keys: object) => node.enrolment(token, { record: node.record(mesh.meshId, keys) });
    await rejected(of({ wireguard: weak }), invalid('wireguard'));
    await rejected(of({ sealing: weak }), invalid('sealing'));
    await rejected(of({ sealing: wireguard }), invalid('sealing'));
    await rejected(of({ signing: weak }), invalid('signing'));
    const elsewhere = node.record(new Uint8Array(32).fill(8));
    const wrong = { status: 422, code: 'wrong_mesh', field: 'record.mesh_id' } as const;
    await rejected(node.enrolment(token, { record: elsewhere }), wrong);
  });

  test('whose answer was lost can be asked again, by the same node only', async () => {
    const node = new TestNode('d', 4);
    const body = node.enrolment(token);
    expect((await enrol(body)).status).toBe(201);
    before = mesh.dump();
    expect((await enrol(body)).status).toBe(201);
    // After a restart it asks with another nonce.
    expect((await enrol(node.enrolment(token))).status).toBe(201);
    const used = { status: 409, code: 'token_used', field: 'token_id' } as const;
    await rejected(new TestNode('d', 5).enrolment(token), used);
    await rejected(fresh().enrolment(token), used);
    expect(mesh.dump()).toBe(before);
  });

  test('of a removed node: its name and keys come back only after every config that lists them', async () => {
    const node = await mesh.enrol('e', 6);
    expect((await mesh.admin('DELETE', '/v1/nodes/e')).status).toBe(200);
    const removedAt = mesh.clock.now();
    token = await mesh.token();
    before = mesh.dump();
    const reserved = { status: 409, code: 'node_id_reserved', field: 'node_id' } as const;
    await rejected(node.enrolment(token), reserved);
    const renamed = new TestNode('f', 6);
    await rejected(renamed.enrolment(token), { status: 409, code: 'key_in_use', field: 'record' });
    await mesh.clock.advance(5 * MIN);
    expect(mesh.clock.now() - removedAt).toBe(5 * MIN);
    expect((await enrol(node.enrolment(token))).status).toBe(201);
  });
});

describe('a signed request', () => {
  const path = (nodeId: string) => `${mesh.url}/v1/config/${nodeId}`;
  const get = (node: TestNode, nodeId = node.nodeId, tag = SIGNATURE_TAGS.config as never) =>
    call(path(nodeId), { headers: node.signed(path(nodeId), tag, mesh.clock.now()) });

  test('is answered for the node that signed it alone', async () => {
    expect((await get(a)).status).toBe(200);
    const wrong = { status: 403, code: 'wrong_node', field: 'node_id' } as const;
    expectProblem(await get(a, 'b'), wrong);
    expectProblem(await get(a, 'nobody'), wrong);
    expectProblem(await get(a, 'A'), wrong);
  });

  test('without a signature, with half of one, or one by nobody', async () => {
    expectProblem(await call(path('a')), { status: 401, code: 'signature_missing' });
    const signed = a.signed(path('a'), SIGNATURE_TAGS.config, mesh.clock.now());
    const { signature, 'signature-input': input } = signed;
    const malformed = { status: 401, code: 'signature_malformed' } as const;
    expectProblem(await call(path('a'), { headers: { signature: signature! } }), malformed);
    expectProblem(await call(path('a'), { headers: { 'signature-input': input! } }), malformed);
    const odd = { ...signed, 'signature-input': input!.replace('sig1', 'sig2') };
    expectProblem(await call(path('a'), { headers: odd }), malformed);
    const stranger = await get(new TestNode('a', 77));
    expectProblem(stranger, { status: 401, code: 'signature_invalid' });
  });

  test('for another path, query, method, host or purpose', async () => {
    const invalid = { status: 401, code: 'signature_invalid' } as const;
    const now = mesh.clock.now();
    const other = b.signed(path('b'), SIGNATURE_TAGS.config, now);
    expectProblem(await call(path('a'), { headers: other }), invalid);
    const plain = a.signed(path('a'), SIGNATURE_TAGS.config, now);
    expectProblem(await call(`${path('a')}?x=1`, { headers: plain }), invalid);
    const post = a.signed(path('a'), SIGNATURE_TAGS.config, now, { method: 'POST' });
    expectProblem(await call(path('a'), { headers: post }), invalid);
    const host = a.signed('http://other.example/v1/config/a', SIGNATURE_TAGS.config, now);
    expectProblem(await call(path('a'), { headers: host }), invalid);
    expectProblem(await get(a, 'a', SIGNATURE_TAGS.stream as never), invalid);
  });

  test('counts once, for a minute', async () => {
    const signed = a.signed(path('a'), SIGNATURE_TAGS.config, mesh.clock.now());
    expect((await call(path('a'), { headers: signed })).status).toBe(200);
    const reused = { status: 401, code: 'nonce_reused', field: 'nonce' } as const;
    const expired = { status: 401, code: 'signature_expired', field: 'created' } as const;
    for (let passed = 0; passed < 60; passed += 10) {
      expectProblem(await call(path('a'), { headers: signed }), reused);
      await mesh.clock.advance(10_000);
    }
    expectProblem(await call(path('a'), { headers: signed }), reused);
    await mesh.clock.advance(1000);
    expectProblem(await call(path('a'), { headers: signed }), expired);
    const ahead = a.signed(path('a'), SIGNATURE_TAGS.config, mesh.clock.now() + 61_000);
    expectProblem(await call(path('a'), { headers: ahead }), expired);
  });

  test('used with the latest possible time stamp is remembered until that is too old', async () => {
    const signed = a.signed(path('a'), SIGNATURE_TAGS.config, mesh.clock.now() + 59_000);
    expect((await call(path('a'), { headers: signed })).status).toBe(200);
    for (let passed = 0; passed < 130; passed += 5) {
      await mesh.clock.advance(5000);
      await mesh.configCall(a);
      expect((await call(path('a'), { headers: signed })).status).toBe(401);
    }
  });

  test('seen before a restart is worth nothing after it', async () => {
    const signed = a.signed(path('a'), SIGNATURE_TAGS.config, mesh.clock.now());
    await mesh.restart();
    const url = path('a');
    const { port } = mesh.controller;
    // The same signature: the port is part of what was signed, so the old Host header goes along.
    const host = new URL(url).host.replace(/\d+$/, String(port));
    const again = await call(url, { headers: { ...signed, host } });
    expect(again.status).toBe(401);
    await mesh.report(0.9, a, b);
    expect((await mesh.configCall(a)).status).toBe(200);
  });

  test('a node that signs requests without end is slowed down, is heard again at once, and the others always', async () => {
    const { auth, directory } = mesh.controller.services;
    await mesh.clock.advance(5 * MIN);
    await mesh.report(0.9, a, b);
    const { host } = new URL(path('b'));
    const parts = { method: 'GET', authority: host, path: '/v1/config/b', query: '?' };
    const nodeOfKey = (keyid: string) => directory.nodeOfKey(keyid);
    for (let i = 0; i < SIGNED_REQUESTS.burst; i++) {
      const headers = b.signed(path('b'), SIGNATURE_TAGS.config, mesh.clock.now());
      expect(auth.verify(nodeOfKey, parts, headers, SIGNATURE_TAGS.config).ok).toBe(true);
    }
    expectProblem(await get(b), { status: 429, code: 'too_many_requests' });
    expect((await get(a)).status).toBe(200);
    await mesh.clock.advance(SIGNED_REQUESTS.intervalMs);
    expect((await get(b)).status).toBe(200);
    await mesh.clock.advance(2 * MIN);
  });
});

describe('a config', () => {
  test('answers 304 for its own ETag, until something in it changes', async () => {
    await mesh.report(0.9, a, b);
    await mesh.rotate();
    const first = await mesh.configCall(a);
    const etag = first.headers.etag!;
    expect((await mesh.configCall(a, { 'if-none-match': etag })).status).toBe(304);
    expect((await mesh.configCall(b, { 'if-none-match': etag })).status).toBe(200);
    await mesh.clock.advance(1);
    await mesh.enrol('g', 7); // the roster names it, members do not change
    const second = await mesh.configCall(a, { 'if-none-match': etag });
    expect(second.status).toBe(200);
    await mesh.rotate();
    const third = await mesh.configCall(a, { 'if-none-match': second.headers.etag! });
    expect(third.status).toBe(200);
  });

  test('of a denied node has no peers and no keys', async () => {
    await mesh.report(0.1, b);
    await mesh.rotate();
    const config = await mesh.config(b);
    expect(config).toMatchObject({
      allowed: false,
      reason: 'score_below_threshold',
      peers: [],
      sealed_psks: null,
    });
    expect(config.roster.length).toBeGreaterThan(0);
    expect((await mesh.config(a)).peers.map((peer) => peer.node_id)).not.toContain('b');
  });
});

describe('who may read the state', () => {
  const url = () => `${mesh.url}/v1/epoch`;

  test.each(['/v1/epoch', '/status.json', '/metrics'])('%s on this machine', async (path) => {
    expect((await call(`${mesh.url}${path}`)).status).toBe(200);
    const missing = { status: 401, code: 'signature_missing' } as const;
    for (const headers of [
      { 'x-forwarded-for': '203.0.113.9' },
      { forwarded: 'for=203.0.113.9' },
      { via: '1.1 proxy' },
      { host: 'evil.example' },
      { host: '127.0.0.1.evil.example' },
    ] as Record<string, string>[]) {
      expectProblem(await call(`${mesh.url}${path}`, { headers }), missing);
    }
  });

  test('members from elsewhere, and no one else', async () => {
    const from = { via: '1.1 proxy' };
    const signed = (node: TestNode) => ({
      ...node.signed(url(), SIGNATURE_TAGS.epoch, mesh.clock.now()),
      ...from,
    });
    await mesh.report(0.9, a);
    await mesh.report(0.1, b);
    await mesh.rotate();
    expect((await call(url(), { headers: signed(a) })).status).toBe(200);
    const refused = { status: 403, code: 'not_authorized' } as const;
    expectProblem(await call(url(), { headers: signed(b) }), refused);
  });

  test('health, readiness and the description are open to all', async () => {
    const headers = { via: '1.1 proxy' };
    for (const path of ['/healthz', '/readyz', '/openapi.json']) {
      expect((await call(`${mesh.url}${path}`, { headers })).status).toBe(200);
    }
    const described = JSON.parse((await call(`${mesh.url}/openapi.json`)).text) as {
      paths: Record<string, unknown>;
    };
    expect(Object.keys(described.paths)).toEqual(
      expect.arrayContaining(['/v1/nodes', '/v1/config/{node_id}', '/v1/stream/{node_id}']),
    );
  });

  test('metrics are text that Prometheus reads', async () => {
    const { text, headers } = await call(`${mesh.url}/metrics`);
    expect(headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    for (const line of text.trimEnd().split('\n')) {
      expect(line).toMatch(
        /^# (?:HELP|TYPE) [a-z_]+ .+$|^[a-z_]+(?:\{[a-z]+="[^"]*"(?:,[a-z]+="[^"]*")*\})? [-\d.e+]+$/,
      );
    }
    expect(text).toContain('meshnet_node_allowed{node="a"} 1');
  });
});

describe('the admin side', () => {
  test('opens to nobody on the network without an access token', async () => {
    for (const [method, path, body] of [
      ['POST', '/v1/rotate'],
      ['POST', '/v1/brake/release'],
      ['POST', '/v1/tokens', { node_id: null, ttl_s: 60 }],
      ['GET', '/v1/tokens'],
      ['POST', '/v1/access', { name: 'me', role: 'admin', ttl_s: null }],
      ['GET', '/v1/access'],
      ['GET', '/v1/policy'],
      ['GET', '/v1/events'],
      ['DELETE', '/v1/nodes/a'],
      ['POST', '/v1/nodes/a/reset-sequence'],
    ] as const) {
      const before = mesh.dump();
      const answer = await call(`${mesh.url}${path}`, { method, ...(body && { body }) });
      expectProblem(answer, { status: 403, code: 'not_authorized' });
      expect(mesh.dump()).toBe(before);
    }
  });

  test.each([
    [{}, 'node_id'],
    [{ node_id: null }, 'ttl_s'],
    [{ node_id: 'A', ttl_s: 1 }, 'node_id'],
    [{ node_id: null, ttl_s: 0 }, 'ttl_s'],
    [{ node_id: null, ttl_s: 31_536_001 }, 'ttl_s'],
    [{ node_id: null, ttl_s: '5' }, 'ttl_s'],
    [{ node_id: null, ttl_s: 5, more: 1 }, '"more"'],
  ])('refuses to make a token of %j', async (body, field) => {
    const before = mesh.dump();
    const answer = await mesh.admin('POST', '/v1/tokens', body);
    expectProblem(answer, { status: 422, code: 'invalid_field', field });
    expect(mesh.dump()).toBe(before);
  });

  test('knows what does not exist', async () => {
    const unknown = { status: 404, code: 'unknown_node', field: 'node_id' } as const;
    expectProblem(await mesh.admin('DELETE', '/v1/nodes/nobody'), unknown);
    expectProblem(await mesh.admin('POST', '/v1/nodes/nobody/reset-sequence'), unknown);
    const token = await mesh.admin('DELETE', '/v1/tokens/AAAAAAAAAAAA');
    expectProblem(token, { status: 404, code: 'not_found' });
    const odd = await mesh.admin('DELETE', '/v1/tokens/x');
    expectProblem(odd, { status: 422, code: 'invalid_field', field: 'id' });
  });

  test('lets a sequence start anew', async () => {
    await mesh.clock.advance(10_000);
    expect((await mesh.admin('POST', '/v1/nodes/a/reset-sequence')).status).toBe(204);
    const again = a.score(mesh.meshId, 0.9, mesh.clock.now(), { sequence: 1 });
    expect((await mesh.post('a', again)).status).toBe(202);
    a.sequence = 1;
  });
});

describe('whatever is no request of ours', () => {
  const post = (path: string, headers: string, body = '') =>
    rawRequest(
      mesh.controller.port,
      `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n${headers}\r\n${body}`,
    );
  const json = (body: string) =>
    post('/v1/nodes', `content-type: application/json\r\ncontent-length: ${body.length}\r\n`, body);
  const get = (line: string, headers = '') =>
    rawRequest(
      mesh.controller.port,
      `${line} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n${headers}\r\n`,
    );

  test.each([
    ['an unknown path', () => get('GET /nothing'), 404, 'not_found'],
    ['a wrong method', () => get('PUT /v1/nodes'), 405, 'method_not_allowed'],
    ['OPTIONS', () => get('OPTIONS /healthz'), 405, 'method_not_allowed'],
    ['a broken escape', () => get('GET /v1/config/%ff'), 400, 'malformed_request'],
    ['an endless name', () => get(`GET /v1/config/${'a'.repeat(500)}`), 404, 'not_found'],
    [
      'no HTTP',
      () => rawRequest(mesh.controller.port, 'NONSENSE\r\n\r\n'),
      400,
      'malformed_request',
    ],
    [
      'no host',
      () => rawRequest(mesh.controller.port, 'GET /healthz HTTP/1.1\r\nconnection: close\r\n\r\n'),
      400,
      'malformed_request',
    ],
    ['an unknown expectation', () => get('GET /nothing', 'expect: miracles\r\n'), 404, 'not_found'],
    [
      'huge headers',
      () => get('GET /healthz', `x: ${'y'.repeat(40_000)}\r\n`),
      431,
      'headers_too_large',
    ],
    ['no body', () => post('/v1/nodes', ''), 422, 'invalid_field'],
    ['an empty body', () => json(''), 400, 'malformed_json'],
    ['broken JSON', () => json('{"a":'), 400, 'malformed_json'],
    ['a poisoned prototype', () => json('{"__proto__":null}'), 400, 'malformed_json'],
    ['brackets without end', () => json('['.repeat(60_000)), 400, 'malformed_json'],
    ['a huge body', () => json('x'.repeat(65_537)), 413, 'body_too_large'],
    [
      'a text',
      () => post('/v1/nodes', 'content-type: text/plain\r\ncontent-length: 2\r\n', '{}'),
      415,
      'unsupported_media_type',
    ],
    [
      'no type',
      () => post('/v1/nodes', 'content-length: 2\r\n', '{}'),
      415,
      'unsupported_media_type',
    ],
    [
      'two lengths',
      () => post('/v1/nodes', 'content-length: 1\r\ncontent-length: 2\r\n', '{}'),
      400,
      'malformed_request',
    ],
  ] as const)('%s', async (_what, send, status, code) => {
    const before = mesh.dump();
    expectProblem(await send(), { status, code });
    expect(mesh.dump()).toBe(before);
  });
});

test('however many ask for the epoch, it is made once, and again after a score', async () => {
  const scores = vi.spyOn(mesh.controller.services.store, 'scores');
  onTestFinished(() => scores.mockRestore());
  await mesh.clock.advance(1000); // what is remembered is of another second
  const asked = await Promise.all(Array.from({ length: 50 }, () => mesh.epoch()));
  expect(new Set(asked.map((one) => JSON.stringify(one))).size).toBe(1);
  expect(scores).toHaveBeenCalledTimes(1);
  await mesh.report(0.8, a);
  const { nodes } = await mesh.epoch();
  expect(nodes.find((node) => node.node_id === 'a')?.score).toBe(0.8);
  expect(scores).toHaveBeenCalledTimes(2);
});

test('no secret was logged or answered in all of this', async () => {
  const log = mesh.log.join('');
  expect(log.length).toBeGreaterThan(1000);
  const keys = [a, b].flatMap((node) => [node.wireguard, node.signing, node.sealing]);
  for (const secret of [...mesh.randoms.filter((one) => one.length === 32), ...keys]) {
    for (const encoding of ['base64', 'base64url', 'hex'] as const) {
      expect(log).not.toContain(Buffer.from(secret).toString(encoding).replace(/=+$/, ''));
    }
  }
  expect(mesh.log.filter((line) => JSON.parse(line).level >= 50)).toEqual([]);
});
