import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { DeviceChange, PeerChange, PeerStatus } from '../../../src/device/config.ts';
import { formatSet, parseSet } from '../../../src/tunnel/uapi/change-text.ts';
import {
  answerErrno,
  formatErrno,
  formatStatus,
  parseStatus,
} from '../../../src/tunnel/uapi/status-text.ts';
import { parsePrefix } from '../../../src/wire/address-text.ts';
import type { Endpoint } from '../../../src/wire/endpoint.ts';
import { maskPrefix } from '../../../src/wire/prefix.ts';

const noScopes = () => undefined;
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
/** Not all zeros, which stand for none. */
const key = bytes(32).map((key) => key.with(0, 1));
const address = fc.oneof(
  bytes(4),
  bytes(16).map((a) => a.with(0, 0x20)),
); // no IPv4-mapped ones
const prefix = address.chain((address) =>
  fc.nat(address.length * 8).map((length) => maskPrefix({ address, length })),
);
const port = fc.nat(0xffff);
const endpoint: fc.Arbitrary<Endpoint> = fc
  .record({ address, port: fc.integer({ min: 1, max: 0xffff }), index: fc.nat(9) })
  .map(({ address, port, index }) =>
    address.length === 4
      ? { family: 4, address, port, scope: 0 }
      : { family: 6, address, port, scope: index },
  );
const when = fc.boolean();

const peerChange: fc.Arbitrary<PeerChange> = fc.record(
  {
    publicKey: key,
    updateOnly: fc.constant(true),
    presharedKey: bytes(32),
    endpoint,
    persistentKeepalive: port,
    replaceAllowedIps: fc.constant(true),
    allowedIps: fc.array(
      fc.record({ prefix, remove: fc.constant(true) }, { requiredKeys: ['prefix'] }),
      { minLength: 1, maxLength: 4 },
    ),
  },
  { requiredKeys: ['publicKey'] },
);
const deviceChange: fc.Arbitrary<DeviceChange> = fc.record(
  {
    privateKey: bytes(32),
    listenPort: port,
    fwmark: fc.nat(0xffff_ffff),
    replacePeers: fc.constant(true),
    peers: fc.array(
      fc.oneof(
        peerChange,
        key.map((publicKey) => ({ publicKey, remove: true })),
      ),
      { minLength: 1, maxLength: 4 },
    ),
  },
  { requiredKeys: [] },
);

test('what a client writes of a change, a server reads: every key, both IP versions', () => {
  fc.assert(
    fc.property(deviceChange, (change) => {
      const [operation, ...lines] = formatSet(change).split('\n');
      expect(operation).toBe('set=1');
      expect(lines.splice(-2)).toEqual(['', '']);
      expect(parseSet(lines, noScopes)).toEqual(change);
    }),
  );
});

const peerStatus: fc.Arbitrary<PeerStatus> = fc.record({
  publicKey: key,
  presharedKey: fc.option(key, { nil: undefined }),
  endpoint: fc.option(endpoint, { nil: undefined }),
  persistentKeepalive: port,
  allowedIps: fc.array(prefix, { maxLength: 4 }),
  lastHandshakeAt: fc.option(fc.integer({ min: 1, max: 2 ** 42 }), { nil: undefined }),
  txBytes: fc.maxSafeNat(),
  rxBytes: fc.maxSafeNat(),
  generation: fc.constant(undefined),
});
const status = fc.record({
  privateKey: fc.option(key, { nil: undefined }),
  listenPort: port,
  fwmark: fc.nat(0xffff_ffff),
  peers: fc.array(peerStatus, { maxLength: 4 }),
});

test('what a server writes of a status, a client reads: every key, both IP versions', () => {
  fc.assert(
    fc.property(status, when, (status, more) => {
      const text = formatStatus(status) + (more ? 'a_key_of_the_future=1\n' : '') + formatErrno(0);
      expect(answerErrno(text)).toBe(0);
      expect(parseStatus(text, noScopes)).toEqual(status);
    }),
  );
});

test('an IPv6 prefix of 16 bytes is never written as an IPv4 address, nor left out', () => {
  const prefix = parsePrefix('fd00::2/128')!;
  const publicKey = new Uint8Array(32).fill(7);
  expect(formatSet({ peers: [{ publicKey, allowedIps: [{ prefix }] }] })).toContain(
    '\nallowed_ip=fd00::2/128\n',
  );
  const answer = `public_key=${publicKey.toHex()}\nallowed_ip=fd00::2/128\nerrno=0\n\n`;
  expect(parseStatus(answer, noScopes).peers[0]!.allowedIps).toEqual([prefix]);
});

test.each([
  ['allowed_ip', 'fd00::2::/128'],
  ['preshared_key', 'abc'],
  ['rx_bytes', '-1'],
  ['protocol_version', '2'],
])('an answer with a wrong %s is refused by its name, without the value', (name, value) => {
  const answer = `public_key=${'07'.repeat(32)}\n${name}=${value}\nerrno=0\n\n`;
  let message = '';
  try {
    parseStatus(answer, noScopes);
  } catch (error) {
    message = (error as Error).message;
  }
  expect(message).toContain(name);
  if (value.length > 2) expect(message).not.toContain(value);
});
