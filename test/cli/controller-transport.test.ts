import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { transportOf } from '../../src/cli/controller-transport.ts';
import { openState, startController } from '../../src/controller/controller.ts';
import { ownCertificate } from '../../src/controller/own-certificate.ts';
import { crypto, temporaryDirectory } from '../agent/support/rig.ts';
import { SimClock } from '../lab/agent-clock.ts';

let directory: ReturnType<typeof temporaryDirectory>;
let files: { tlsCert: string; tlsKey: string };
beforeEach(() => {
  directory = temporaryDirectory();
  files = { tlsCert: join(directory.path, 'tls.crt'), tlsKey: join(directory.path, 'tls.key') };
  write('one.example');
});
afterEach(() => directory.remove());

function write(name: string, change: Partial<{ cert: string; key: string }> = {}) {
  const seed = new Uint8Array(32).fill(name.length);
  const { cert, key } = { ...ownCertificate(crypto, seed, [name], Date.now()), ...change };
  for (const [file, content] of [
    [files.tlsCert, cert],
    [files.tlsKey, key],
  ] as const) {
    writeFileSync(`${file}.new`, content);
    renameSync(`${file}.new`, file);
  }
}

const at = (host: string) => ({
  state: join(directory.path, 'state'),
  listen: { host },
  acmeDirectory: 'https://acme.example/directory',
  acmeHttp: { host: '127.0.0.1', port: 0 },
});

test('beyond loopback a controller speaks TLS unless told otherwise', () => {
  expect(transportOf(at('192.0.2.1'))).toEqual({ tls: 'own' });
  expect(transportOf(at('0.0.0.0'))).toEqual({ tls: 'own' });
  expect(transportOf(at('127.0.0.1'))).toEqual({});
  expect(transportOf(at('::1'))).toEqual({});
  expect(transportOf({ ...at('192.0.2.1'), insecureHttp: true })).toEqual({});
  expect(transportOf({ ...at('192.0.2.1'), behindProxy: '192.0.2.9' })).toEqual({
    proxy: '192.0.2.9',
  });
  expect(transportOf({ ...at('127.0.0.1'), ...files }).tls).toMatchObject({
    cert: expect.stringContaining('BEGIN CERTIFICATE'),
  });
});

test.for([
  ['a certificate without its key', () => ({ tlsKey: undefined }), '--tls-cert and --tls-key'],
  [
    'a file that is not there',
    () => ({ tlsKey: '/nonexistent' }),
    '--tls-key /nonexistent: ENOENT',
  ],
  ['a device', () => ({ tlsCert: '/dev/zero' }), '--tls-cert /dev/zero: not a plain file'],
  ['a folder', () => ({ tlsCert: directory.path }), 'not a plain file'],
  ['a key where the certificate belongs', () => ({ tlsCert: files.tlsKey }), 'not a certificate'],
  ['a certificate where the key belongs', () => ({ tlsKey: files.tlsCert }), 'not a private key'],
  ['two ways at once', () => ({ insecureHttp: true }), 'exclude each other'],
  [
    'an authority whose terms nobody agreed to',
    () => ({ tlsCert: undefined, tlsKey: undefined, acme: ['mesh.example'] }),
    'the terms are those of https://acme.example/directory',
  ],
  [
    'a proxy without an address',
    () => ({ tlsCert: undefined, tlsKey: undefined, behindProxy: 'nginx' }),
    'IP address',
  ],
] as const)('%s is refused', ([, change, message]) => {
  const options = { ...at('192.0.2.1'), ...files, ...change() } as Parameters<
    typeof transportOf
  >[0];
  expect(() => transportOf(options)).toThrow(message);
});

test('a key of another certificate is refused, and not shown', () => {
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  write('one.example', { key: other.export({ type: 'pkcs8', format: 'pem' }) as string });
  expect(() => transportOf({ ...at('::1'), ...files })).toThrow(
    `--tls-key ${files.tlsKey}: not the key of ${files.tlsCert}`,
  );
  write('one.example', { key: '-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n' });
  expect(() => transportOf({ ...at('::1'), ...files })).toThrow(/^[^\n]*not a private key in PEM$/);
});

test('a renewed certificate is served to new connections; one that is broken is not', async () => {
  const { source, tls } = transportOf({ ...at('127.0.0.1'), ...files });
  const used: string[] = [];
  const controller = await startController({
    state: openState(join(directory.path, 'controller')),
    listen: { host: '127.0.0.1', port: 0 },
    tls: tls!,
    crypto,
    random: (length) => new Uint8Array(length).fill(5),
    onEvent: (event) => {
      if (event.event === 'certificate_used') used.push(event.names);
    },
  });
  const clock = new SimClock();
  const stop = new AbortController();
  const warnings: string[] = [];
  const warn = (message: string) => void warnings.push(message);
  void source!.follow((one) => controller.useCertificate(one), warn, clock, stop.signal);
  const served = async () => {
    const socket = connect({ port: controller.port, rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    const { subjectaltname } = socket.getPeerCertificate();
    socket.destroy();
    return subjectaltname;
  };
  expect(await served()).toBe('DNS:one.example');
  write('another.example');
  await clock.advance(5000);
  expect(await served()).toBe('DNS:another.example');
  write('third.example', { cert: 'half a certifi' });
  await clock.advance(60_000);
  expect(await served()).toBe('DNS:another.example');
  expect(warnings).toEqual([expect.stringMatching(/not a certificate in PEM; .* stays in use$/)]);
  write('chain.example');
  const chain = `${readFileSync(files.tlsCert, 'utf8')}-----BEGIN CERTIFICATE-----\nMIIB\n`;
  writeFileSync(files.tlsCert, chain); // a renewal that is written by half
  await clock.advance(60_000);
  expect(await served()).toBe('DNS:another.example');
  expect(warnings.slice(1)).toEqual([expect.stringMatching(/no chain of certificates that TLS/)]);
  rmSync(files.tlsCert);
  execFileSync('mkfifo', [files.tlsCert]); // would have a reader wait for ever
  await clock.advance(60_000);
  rmSync(files.tlsCert);
  expect(warnings.slice(2)).toEqual([
    expect.stringMatching(/: not a plain file; .* stays in use$/),
  ]);
  write('fourth.example');
  await clock.advance(5000);
  expect(await served()).toBe('DNS:fourth.example');
  expect(used).toEqual(
    ['one.example', 'another.example', 'fourth.example'].map((name) => `DNS:${name}`),
  );
  stop.abort();
  await controller.close();
});
