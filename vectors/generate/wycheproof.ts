import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/**
 * node vectors/generate/wycheproof.ts DIRECTORY: writes vectors/wycheproof.json from the `testvectors_v1` of
 * github.com/c2sp/wycheproof (`go mod download -json` says where it is). Of each case only what a test needs.
 */

interface Group {
  readonly publicKey?: { readonly pk: string };
  readonly tests: readonly Record<string, unknown>[];
}

const FILES = {
  ed25519: 'ed25519_test.json',
  x25519: 'x25519_test.json',
  chacha20poly1305: 'chacha20_poly1305_test.json',
  xchacha20poly1305: 'xchacha20_poly1305_test.json',
  hmac_sha256: 'hmac_sha256_test.json',
} as const;
const NOT_NEEDED = new Set(['comment', 'flags']);
/** Nonces of the lengths and the form that WireGuard makes: four bytes of zero and a counter, or 24 bytes. */
const OUR_NONCE = /^(0{8}.{16}|.{48})$/;

const [directory] = process.argv.slice(2);
if (directory === undefined) {
  console.error('usage: node vectors/generate/wycheproof.ts DIRECTORY');
  process.exit(2);
}

const sets = Object.entries(FILES).map(([name, file]) => {
  const { testGroups } = JSON.parse(readFileSync(join(directory, file), 'utf8')) as {
    testGroups: readonly Group[];
  };
  const cases = testGroups.flatMap(({ publicKey, tests }) =>
    tests
      .filter(({ iv }) => iv === undefined || OUR_NONCE.test(String(iv)))
      .map((one) => ({
        ...(publicKey === undefined ? {} : { pk: publicKey.pk }),
        ...Object.fromEntries(Object.entries(one).filter(([field]) => !NOT_NEEDED.has(field))),
      })),
  );
  return `${JSON.stringify(name)}: [\n${cases.map((one) => JSON.stringify(one)).join(',\n')}\n]`;
});
writeFileSync(resolve(import.meta.dirname, '../wycheproof.json'), `{${sets.join(',\n')}}\n`);
