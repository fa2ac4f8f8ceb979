import { chmodSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fromBase64, fromBase64Url, toBase64 } from '../../src/contract/encoding.ts';
import {
  createEnrolment,
  type EnrolmentAnswer,
  openEnrolment,
  openEnrolmentAnswer,
  proofIsValid,
} from '../../src/contract/enrolment.ts';
import { PAYLOAD_TYPES, signEnvelope } from '../../src/contract/envelope.ts';
import { compareNodeIds, controllerFingerprint, isNodeId } from '../../src/contract/ids.ts';
import { createJoinToken, formatJoinToken, parseJoinToken } from '../../src/contract/join-token.ts';
import { readKeyFile, writeKeyFile } from '../../src/contract/key-file.ts';
import { type KeyRecord, openKeyRecord, signKeyRecord } from '../../src/contract/key-record.ts';
import { isAcceptableEd25519, isAcceptableX25519 } from '../../src/contract/public-keys.ts';
import { defaultProvider } from '../../src/crypto/select.ts';

const crypto = defaultProvider();
const fill = (value: number) => new Uint8Array(32).fill(value);
const controllerSeed = fill(9);
const controllerKey = crypto.ed25519Public(controllerSeed);
const meshId = controllerFingerprint(crypto, controllerKey);
const signingSeed = fill(1);
const record: KeyRecord = {
  meshId,
  nodeId: 'node-a',
  wireguard: crypto.x25519Public(fill(2)),
  signing: crypto.ed25519Public(signingSeed),
  sealing: crypto.x25519Public(fill(3)),
};

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'meshnet-keys-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

test('node ids are short lower-case names in byte order', () => {
  for (const id of ['a', 'node-a', '0', '-', 'x'.repeat(63)]) expect(isNodeId(id)).toBe(true);
  for (const id of ['', 'A', 'a_b', 'a.b', 'x'.repeat(64), 'a\n', 1, null, 'é']) {
    expect(isNodeId(id)).toBe(false);
  }
  const sorted = ['b', 'a-', 'a', 'a0', '0', '-'].sort(compareNodeIds);
  expect(sorted).toEqual(['-', '0', 'a', 'a-', 'a0', 'b']);
});

test('base64 has one accepted text per byte string', () => {
  expect(fromBase64('AAA=')).toEqual(new Uint8Array(2));
  for (const text of ['AAA', 'AAB=', 'AA A=', 'AAA=\n', '_AA=', 'AAAA='])
    expect(fromBase64(text)).toBeUndefined();
  expect(fromBase64Url('__8')).toEqual(new Uint8Array([255, 255]));
  for (const text of ['__8=', '//8', '__9']) expect(fromBase64Url(text)).toBeUndefined();
  expect(fromBase64('AAA=', 3)).toBeUndefined();
});

test('a key file is private, whole and never overwritten', () => {
  const path = join(directory, 'node.key');
  writeKeyFile(path, fill(7));
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readKeyFile(path)).toEqual(fill(7));
  expect(() => writeKeyFile(path, fill(8))).toThrow(/not overwritten/);
  chmodSync(path, 0o640);
  expect(() => readKeyFile(path)).toThrow(/mode is 0640, run: chmod 600/);
  chmodSync(path, 0o600);
  symlinkSync(path, join(directory, 'link'));
  expect(() => readKeyFile(join(directory, 'link'))).toThrow(/ELOOP/);
  expect(() => readKeyFile(join(directory, 'none'))).toThrow(/no such key file/);
  expect(() => readKeyFile(directory)).toThrow(/plain file/);
  const text = `${toBase64(fill(7)).slice(0, 20)}secret`;
  writeFileSync(join(directory, 'bad'), text, { mode: 0o600 });
  expect(() => readKeyFile(join(directory, 'bad'))).toThrow(/^(?!.*secret).*32 bytes in base64$/);
});

test('a key record opens only with three distinct sound keys and its own signature', () => {
  const open = (change: Partial<KeyRecord>, seed = signingSeed) => {
    const opened = openKeyRecord(crypto, signKeyRecord(crypto, seed, { ...record, ...change }));
    return opened.ok ? 'ok' : `${opened.problem.code} ${opened.problem.field}`;
  };
  expect(open({})).toBe('ok');
  expect(open({}, fill(4))).toBe('key_record_invalid signatures');
  expect(open({ sealing: record.wireguard })).toBe('key_record_invalid sealing');
  expect(open({ wireguard: record.signing })).toBe('key_record_invalid signing');
  const order4 = fill(0);
  expect(open({ wireguard: order4 })).toBe('key_record_invalid wireguard');
  expect(open({ sealing: order4 })).toBe('key_record_invalid sealing');
  expect(open({ signing: order4 })).toBe('key_record_invalid signing');
  expect(open({ nodeId: 'A' })).toBe('invalid_field node_id');
});

test('an X25519 key in another encoding than its own is not acceptable', () => {
  const key = crypto.x25519Public(new Uint8Array(32).fill(3));
  expect(isAcceptableX25519(crypto, key)).toBe(true);
  key[31]! |= 0x80;
  expect(isAcceptableX25519(crypto, key)).toBe(false);
  const aboveP = new Uint8Array(32).fill(0xff);
  aboveP[31] = 0x7f;
  expect(isAcceptableX25519(crypto, aboveP)).toBe(false);
});

test('Ed25519 keys of small order or in non-canonical form are not acceptable', () => {
  const hex = (text: string) => new Uint8Array(Buffer.from(text, 'hex'));
  for (const bad of [
    '0100000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000080',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    '0000000000000000000000000000000000000000000000000000000000000080',
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
  ]) {
    expect(isAcceptableEd25519(hex(bad)), bad).toBe(false);
  }
  expect(isAcceptableEd25519(record.signing)).toBe(true);
});

test('a join token is three parts and nothing else', () => {
  const token = createJoinToken((length) => new Uint8Array(length).fill(5), meshId);
  const text = formatJoinToken(token);
  expect(text).toMatch(/^[\w-]{12}\.[\w-]{43}\.[\w-]{43}$/);
  expect(parseJoinToken(`${text}\n`)).toEqual(token);
  for (const bad of ['', text.slice(1), `${text}.x`, text.replace('.', ' '), `${text}A`])
    expect(parseJoinToken(bad)).toBeUndefined();
});

test('enrolment proves token and key, and the answer proves the controller', () => {
  const token = createJoinToken((length) => new Uint8Array(length).fill(length), meshId);
  const nonce = 'AAAAAAAAAAAAAAAAAAAAAA';
  const request = createEnrolment(crypto, signingSeed, token, {
    node_id: 'node-a',
    nonce,
    record: signKeyRecord(crypto, signingSeed, record),
    endpoint: '192.0.2.1:51820',
  });
  const sent = JSON.stringify(request);
  const payload = Buffer.from(request.request.payload, 'base64').toString();
  for (const text of [sent, payload]) {
    expect(text).not.toContain(toBase64(token.secret).slice(0, 20));
  }
  const opened = openEnrolment(crypto, meshId, request);
  if (!opened.ok) throw new Error(opened.problem.code);
  expect(opened.value.record.nodeId).toBe('node-a');
  expect(proofIsValid(crypto, token.secret, request)).toBe(true);
  expect(proofIsValid(crypto, fill(6), request)).toBe(false);

  const answer = (change: Partial<EnrolmentAnswer>, seed = controllerSeed) =>
    signEnvelope(crypto, seed, PAYLOAD_TYPES.enrolmentAnswer, {
      mesh_id: toBase64(meshId),
      audience: 'node-a',
      nonce,
      request_hash: toBase64(opened.value.requestHash),
      controller_key: toBase64(crypto.ed25519Public(seed)),
      tunnel_address: '10.10.0.2',
      tunnel_prefix: '10.10.0.0/24',
      epoch: 0,
      version: 0,
      epoch_s: 60,
      grace_s: 20,
      ...change,
    });
  const check = (value: unknown) => {
    const result = openEnrolmentAnswer(crypto, token, request, 'node-a', nonce, value);
    return result.ok ? 'ok' : result.problem.code;
  };
  expect(check(answer({}))).toBe('ok');
  expect(check(answer({}, fill(8)))).toBe('envelope_signature'); // another controller
  expect(check(answer({ controller_key: toBase64(controllerKey) }, fill(8)))).toBe(
    'envelope_signature',
  );
  expect(check(answer({ audience: 'node-b' }))).toBe('wrong_audience');
  expect(check(answer({ request_hash: toBase64(fill(1)) }))).toBe('envelope_signature');
});

test('an enrolment that mixes nodes, meshes or keys is refused', () => {
  const token = createJoinToken((length) => new Uint8Array(length).fill(5), meshId);
  const enrol = (seed: Uint8Array, nodeId: string, change: Partial<KeyRecord>) => {
    const result = openEnrolment(
      crypto,
      meshId,
      createEnrolment(crypto, seed, token, {
        node_id: nodeId,
        nonce: 'AAAAAAAAAAAAAAAAAAAAAA',
        record: signKeyRecord(crypto, signingSeed, { ...record, ...change }),
        endpoint: null,
      }),
    );
    return result.ok ? 'ok' : result.problem.code;
  };
  expect(enrol(signingSeed, 'node-a', {})).toBe('ok');
  expect(enrol(signingSeed, 'node-b', {})).toBe('key_record_invalid');
  expect(enrol(fill(4), 'node-a', {})).toBe('envelope_signature'); // somebody else's record
  expect(enrol(signingSeed, 'node-a', { meshId: fill(0) })).toBe('wrong_mesh');
});
