import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ownCertificate } from '../../src/controller/own-certificate.ts';
import { defaultProvider } from '../../src/crypto/select.ts';
import { checked } from '../deploy/checked.ts';
import { requires } from '../lab/requirements.ts';

const crypto = defaultProvider();
const NOW = Date.UTC(2026, 10, 30, 12);
const NAMES = ['192.0.2.1', 'fd00::1', 'mesh.example'];
const made = () => ownCertificate(crypto, new Uint8Array(32).fill(7), NAMES, NOW);

const certificatesIn = (pem: string) =>
  pem
    .match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----\n/g)!
    .map((one) => new X509Certificate(one));

test('a certificate of a new key each time, by the key that the mesh is named by', () => {
  const [first, second] = [made(), made()].map(({ cert }) => certificatesIn(cert));
  const [own, mesh] = first!;
  expect(own!.verify(mesh!.publicKey)).toBe(true);
  expect(own!.checkIssued(mesh!)).toBe(true);
  expect(mesh!.ca).toBe(true);
  expect(mesh!.publicKey.export({ format: 'jwk' }).x).toBe(
    Buffer.from(crypto.ed25519Public(new Uint8Array(32).fill(7))).toString('base64url'),
  );
  expect(second![1]!.publicKey.equals(mesh!.publicKey)).toBe(true);
  expect(second![0]!.publicKey.equals(own!.publicKey)).toBe(false);
});

test('for the names and addresses that it is reached by, and from a day ago on', () => {
  const [own] = certificatesIn(made().cert);
  expect(own!.checkIP('192.0.2.1')).toBe('192.0.2.1');
  expect(own!.checkIP('fd00::1')).toBe('fd00::1');
  expect(own!.checkHost('mesh.example')).toBe('mesh.example');
  expect(own!.checkIP('192.0.2.2')).toBeUndefined();
  expect(own!.checkHost('other.example')).toBeUndefined();
  expect(own!.validFromDate.getTime()).toBe(NOW - 86_400_000);
});

requires('openssl')('OpenSSL', () => {
  test('finds no fault with it, by its strict rules', () => {
    const directory = mkdtempSync(join(tmpdir(), 'certificate-'));
    const { cert } = made();
    const file = (name: string, content: string) => {
      writeFileSync(join(directory, name), content);
      return join(directory, name);
    };
    const mesh = file('mesh.pem', certificatesIn(cert)[1]!.toString());
    const command = ['openssl', 'verify', '-x509_strict', '-attime', String(NOW / 1000)] as const;
    expect(checked([...command, '-CAfile', mesh, file('own.pem', cert)])).toMatchObject({
      code: 0,
    });
    rmSync(directory, { recursive: true });
  });
});
