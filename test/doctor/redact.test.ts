import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { createJoinToken, formatJoinToken } from '../../src/contract/join-token.ts';
import { bugReport, filesOf } from '../../src/doctor/bug-report.ts';
import { redact } from '../../src/doctor/redact.ts';
import { temporaryDirectory } from '../agent/support/rig.ts';

const random = (length: number) => globalThis.crypto.getRandomValues(new Uint8Array(length));

test('a join token loses its secret and keeps what tells which one it was', () => {
  const token = createJoinToken(random, random(32));
  const text = redact(`MESHNET_TOKEN=x; run ${formatJoinToken(token)} there`, []);
  expect(text).not.toContain(token.secret.toBase64({ alphabet: 'base64url', omitPadding: true }));
  expect(text).toContain(`${token.id}.[redacted].`);
});

test.each([
  ['an option', 'node --token=hunter2hunter2 --name a', 'hunter2'],
  ['an environment', 'OPENAI_API_KEY=hunter2hunter2', 'hunter2'],
  ['JSON', '{"password": "hunter2hunter2", "a": 1}', 'hunter2'],
  ['a URL', 'https://user:hunter2@proxy.example:3128/', 'hunter2'],
  ['a header', 'Authorization: Bearer hunter2hunter2', 'hunter2'],
  ['a bearer alone', 'bearer hunter2hunter2', 'hunter2'],
  ['a key of a service', 'refused: sk-proj-hunter2hunter2hunter2', 'hunter2'],
  ['PEM', '-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----', 'hunter2'],
  ['PEM that is cut off', '-----BEGIN EC PRIVATE KEY-----\nhunter2\n', 'hunter2'],
])('%s loses it', (_what, text, secret) => {
  expect(redact(text, [])).not.toContain(secret);
});

test('what people need to read stays', () => {
  const text =
    'node-a denied: alignment score 0.31; https://192.0.2.1:8440; key of node-b: since epoch 7; token_issued';
  expect(redact(text, [])).toBe(text);
});

test.each(['x', 'a-', 'token', 'a.', ' ', 'bearer ', 'http://', '-----BEGIN ', 'A '])(
  'much of %j is worked through within the time of a test',
  (text) => {
    expect(redact(text.repeat(300_000 / text.length), []).length).toBeGreaterThan(0);
  },
);

test('a known key is found in every spelling, wherever it stands', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.string(),
      fc.constantFrom<BufferEncoding>('base64', 'base64url', 'hex'),
      (key, around, form) => {
        const written = Buffer.from(key).toString(form);
        expect(redact(`${around}${written}${around}`, [key])).not.toContain(written);
      },
    ),
  );
});

test('a report has none of the keys in a state directory, names files by mode alone, and is bounded', async () => {
  const directory = temporaryDirectory();
  onTestFinished(() => directory.remove());
  const key = random(32);
  const file = join(directory.path, 'signing.key');
  writeFileSync(file, `${key.toBase64()}\n`);
  chmodSync(file, 0o640);
  const report = await bugReport(
    [
      { title: 'Files', text: () => filesOf(directory.path) },
      { title: 'Leak', text: () => `${'x'.repeat(300_000)}${key.toHex()} ${key.toBase64()}` },
      { title: 'Gone', text: () => Promise.reject(new Error('ENOENT token=hunter2hunter2')) },
    ],
    [directory.path, join(directory.path, 'nowhere')],
  );
  expect(report).toMatch(/^0640 .* signing\.key$/m);
  expect(report).not.toContain(key.toBase64());
  expect(report).not.toContain(key.toHex());
  expect(report).not.toContain('hunter2');
  expect(report).toContain('## Gone\n\nnot to be had: Error: ENOENT');
  expect(report.length).toBeLessThan(202_000);
});
