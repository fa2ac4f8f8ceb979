import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import { controllerFingerprint } from '../contract/ids.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import { parseAddress } from '../wire/address-text.ts';
import { bits, integer, octets, oid, sequence, set, tagged, text, time, yes } from './der.ts';

/** What a TLS server presents, PEM: a private key, and the certificates from its own on. */
export interface ServerCertificate {
  readonly key: string;
  readonly cert: string;
}

const OID = {
  ed25519: '1.3.101.112',
  commonName: '2.5.4.3',
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  subjectKey: '2.5.29.14',
  authorityKey: '2.5.29.35',
  subjectAltName: '2.5.29.17',
} as const;
const DAY = 86_400_000;
/** Nobody goes by the dates: nodes verify whose word the certificate is, whatever their clocks say. */
const LIFETIME = 3650 * DAY;
/** GeneralName of RFC 5280. */
const DNS_NAME = 2;
const IP_ADDRESS = 7;

/**
 * A certificate for a TLS key that is made here and lives in memory alone, signed by the controller's
 * key: whoever knows the mesh id, the hash of that key, knows whom it talks to. Join tokens carry it.
 * `names`: host names and addresses that it is for, for clients that look (RFC 5280, RFC 8410).
 */
export function ownCertificate(
  crypto: CryptoProvider,
  signingSeed: Uint8Array,
  names: readonly string[],
  now: number,
): ServerCertificate {
  const publicKey = crypto.ed25519Public(signingSeed);
  const fingerprint = controllerFingerprint(crypto, publicKey);
  const meshName = `Aligned Meshnet ${Buffer.from(fingerprint).toString('hex').slice(0, 16)}`;
  const leaf = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const validity = sequence(time(now - DAY), time(now + LIFETIME));
  const signed = (subject: string, key: Uint8Array, extensions: readonly Uint8Array[]): string => {
    const algorithm = sequence(oid(OID.ed25519));
    const content = sequence(
      tagged(0, integer(Buffer.of(2))), // version 3
      integer(Buffer.concat([Buffer.of(0x40), randomBytes(15)])),
      algorithm,
      nameOf(meshName),
      validity,
      nameOf(subject),
      key,
      tagged(3, sequence(...extensions)),
    );
    const signature = crypto.ed25519Sign(signingSeed, content);
    return pem(sequence(content, algorithm, bits(signature)));
  };
  const leafKey = leaf.publicKey.export({ type: 'spki', format: 'der' });
  const meshKey = sequence(sequence(oid(OID.ed25519)), bits(publicKey));
  const keyName = fingerprint.subarray(0, 20);
  const own = signed('meshnet controller', leafKey, [
    extension(OID.subjectAltName, sequence(...names.map(alternativeName))),
    extension(OID.authorityKey, sequence(tagged(0, keyName, true))),
  ]);
  const mesh = signed(meshName, meshKey, [
    extension(OID.basicConstraints, sequence(yes()), true),
    extension(OID.keyUsage, Buffer.of(3, 2, 2, 0b0000_0100), true), // keyCertSign
    extension(OID.subjectKey, octets(keyName)),
  ]);
  const key = leaf.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  return { key, cert: own + mesh };
}

/** Names and addresses that callers of who listens at `host` may know this machine by. */
export function ownNames(host: string): string[] {
  const isAny = host === '0.0.0.0' || host === '::';
  const addresses = Object.values(networkInterfaces()).flatMap((one) => one ?? []);
  const own = isAny ? addresses.map(({ address }) => address) : [host];
  return [...new Set([...own, hostname(), 'localhost', '127.0.0.1'])];
}

function nameOf(common: string): Uint8Array {
  return sequence(set(sequence(oid(OID.commonName), text(common))));
}

function extension(id: string, value: Uint8Array, critical = false): Uint8Array {
  return sequence(oid(id), ...(critical ? [yes()] : []), octets(value));
}

function alternativeName(name: string): Uint8Array {
  if (isIP(name) === 0) return tagged(DNS_NAME, Buffer.from(name), true);
  return tagged(IP_ADDRESS, parseAddress(name)!, true);
}

function pem(der: Uint8Array): string {
  const lines = Buffer.from(der)
    .toString('base64')
    .match(/.{1,64}/g)!;
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}
