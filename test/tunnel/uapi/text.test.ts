import { constants } from 'node:os';
import { expect, test } from 'vitest';
import type { DeviceStatus, PeerStatus } from '../../../src/device/config.ts';
import { formatSet, parseSet } from '../../../src/tunnel/uapi/change-text.ts';
import { answerErrno, formatStatus, parseStatus } from '../../../src/tunnel/uapi/status-text.ts';
import { UapiError } from '../../../src/tunnel/uapi/values.ts';
import { parsePrefix } from '../../../src/wire/address-text.ts';

const A = 'aa'.repeat(32);
const B = 'bb'.repeat(32);
const ZERO = '00'.repeat(32);
const key = (hex: string) => Uint8Array.fromHex(hex);
const prefix = (text: string) => parsePrefix(text)!;
const parse = (...lines: string[]) => parseSet(lines, () => undefined);

function errnoOf(...lines: string[]): number {
  try {
    parse(...lines);
  } catch (error) {
    if (error instanceof UapiError) return error.errno;
    throw error;
  }
  return 0;
}

test('reads a whole device', () => {
  expect(
    parse(
      `private_key=${A}`,
      'listen_port=51820',
      'fwmark=4294967295',
      'replace_peers=true',
      `public_key=${B.toUpperCase()}`,
      'protocol_version=1',
      `preshared_key=${A}`,
      'endpoint=192.0.2.1:51820',
      'persistent_keepalive_interval=25',
      'replace_allowed_ips=true',
      'allowed_ip=10.0.0.7/24',
      'allowed_ip=-fd00::/64',
    ),
  ).toEqual({
    privateKey: key(A),
    listenPort: 51820,
    fwmark: 0xffff_ffff,
    replacePeers: true,
    peers: [
      {
        publicKey: key(B),
        presharedKey: key(A),
        endpoint: { family: 4, address: Uint8Array.of(192, 0, 2, 1), port: 51820, scope: 0 },
        persistentKeepalive: 25,
        replaceAllowedIps: true,
        allowedIps: [
          { prefix: prefix('10.0.0.0/24') },
          { prefix: prefix('fd00::/64'), remove: true },
        ],
      },
    ],
  });
});

test('leaves out what was not said', () => {
  expect(parse()).toEqual({});
  expect(parse(`public_key=${A}`)).toEqual({ peers: [{ publicKey: key(A) }] });
});

test('keeps zero keys and zero numbers: they clear a setting', () => {
  expect(
    parse(
      `private_key=${ZERO}`,
      'listen_port=0',
      'fwmark=0',
      `public_key=${A}`,
      `preshared_key=${ZERO}`,
      'persistent_keepalive_interval=0',
    ),
  ).toEqual({
    privateKey: key(ZERO),
    listenPort: 0,
    fwmark: 0,
    peers: [{ publicKey: key(A), presharedKey: key(ZERO), persistentKeepalive: 0 }],
  });
});

test('every public_key line starts a peer, the same one too', () => {
  const change = parse(
    `public_key=${A}`,
    'remove=true',
    `public_key=${A}`,
    'allowed_ip=10.0.0.1/32',
    `public_key=${B}`,
    'update_only=true',
  );
  expect(change.peers).toEqual([
    { publicKey: key(A), remove: true },
    { publicKey: key(A), allowedIps: [{ prefix: prefix('10.0.0.1/32') }] },
    { publicKey: key(B), updateOnly: true },
  ]);
});

test('lines behind "remove" are checked and have no effect', () => {
  expect(parse(`public_key=${A}`, 'remove=true', `preshared_key=${B}`).peers).toEqual([
    { publicKey: key(A), remove: true },
  ]);
  expect(errnoOf(`public_key=${A}`, 'remove=true', 'preshared_key=xx')).toBe(
    -constants.errno.EINVAL,
  );
});

test('"replace_allowed_ips" drops what the same peer was given before it', () => {
  expect(
    parse(
      `public_key=${A}`,
      'allowed_ip=10.0.0.1/32',
      'replace_allowed_ips=true',
      'allowed_ip=10.0.0.2/32',
    ).peers,
  ).toEqual([
    { publicKey: key(A), allowedIps: [{ prefix: prefix('10.0.0.1/32') }] },
    {
      publicKey: key(A),
      updateOnly: true,
      replaceAllowedIps: true,
      allowedIps: [{ prefix: prefix('10.0.0.2/32') }],
    },
  ]);
});

test('refuses what the official implementation refuses', () => {
  const device = [
    'private_key=',
    `private_key=${A}0`,
    `private_key=${'zz'.repeat(32)}`,
    'listen_port=65536',
    'listen_port=-1',
    'listen_port=',
    'listen_port=0x10',
    'fwmark=4294967296',
    'replace_peers=false',
    'replace_peers=1',
    'preshared_key=',
    'allowed_ip=10.0.0.0/8',
    'nonsense=1',
    '=',
  ];
  for (const line of device) expect(errnoOf(line), line).toBe(-constants.errno.EINVAL);
  const peer = [
    'private_key=',
    'listen_port=1',
    'update_only=false',
    'remove=yes',
    `preshared_key=${A.slice(2)}`,
    'endpoint=example.org:1',
    'endpoint=1.2.3.4',
    'persistent_keepalive_interval=65536',
    'persistent_keepalive_interval=off',
    'replace_allowed_ips=',
    'allowed_ip=10.0.0.0',
    'allowed_ip=--10.0.0.0/8',
    'protocol_version=2',
    'last_handshake_time_sec=0',
  ];
  for (const line of peer) {
    expect(errnoOf(`public_key=${A}`, line), line).toBe(-constants.errno.EINVAL);
  }
});

test('a line that is no assignment is a protocol error', () => {
  expect(errnoOf('private_key')).toBe(-constants.errno.EPROTO);
  expect(errnoOf(`public_key=${A}`, 'remove')).toBe(-constants.errno.EPROTO);
});

test('no message repeats a value', () => {
  for (const lines of [[`private_key=${A}q`], [`public_key=${A}`, `preshared_key=${B}q`], [A]]) {
    expect(() => parse(...lines)).toThrow(
      expect.objectContaining({ message: expect.not.stringMatching(/aaaa|bbbb/) }),
    );
  }
});

const peer: PeerStatus = {
  publicKey: key(A),
  presharedKey: undefined,
  endpoint: undefined,
  persistentKeepalive: 0,
  allowedIps: [],
  lastHandshakeAt: undefined,
  txBytes: 0,
  rxBytes: 0,
  generation: undefined,
};
const device: DeviceStatus = {
  privateKey: undefined,
  publicKey: undefined,
  listenPort: 0,
  fwmark: 0,
  peers: [],
  drops: {},
};

test('says nothing of a device without settings', () => {
  expect(formatStatus(device)).toBe('');
});

test('writes a whole device', () => {
  const text = formatStatus({
    ...device,
    privateKey: key(B),
    listenPort: 51820,
    fwmark: 0xca6c,
    peers: [
      peer,
      {
        ...peer,
        publicKey: key(B),
        presharedKey: key(A),
        endpoint: {
          family: 6,
          address: Uint8Array.fromHex('fe800000000000000000000000000001'),
          port: 9,
          scope: 2,
        },
        persistentKeepalive: 25,
        allowedIps: [prefix('0.0.0.0/0'), prefix('fd00::/8')],
        lastHandshakeAt: 1_700_000_000_123.5,
        txBytes: 2 ** 53 - 1,
        rxBytes: 7,
      },
    ],
  });
  expect(text).toBe(
    `private_key=${B}
listen_port=51820
fwmark=51820
public_key=${A}
preshared_key=${ZERO}
persistent_keepalive_interval=0
protocol_version=1
last_handshake_time_sec=0
last_handshake_time_nsec=0
tx_bytes=0
rx_bytes=0
public_key=${B}
preshared_key=${A}
endpoint=[fe80::1%2]:9
persistent_keepalive_interval=25
protocol_version=1
last_handshake_time_sec=1700000000
last_handshake_time_nsec=123500000
tx_bytes=9007199254740991
rx_bytes=7
allowed_ip=0.0.0.0/0
allowed_ip=fd00::/8
`,
  );
});

test('the text is what the protocol says, also for answers of other implementations', () => {
  const peer = {
    publicKey: key('02'.repeat(32)),
    presharedKey: key('66'.repeat(32)),
    endpoint: {
      family: 4,
      address: Uint8Array.of(192, 0, 2, 2),
      port: 51820,
      scope: 0,
    } as const,
    replaceAllowedIps: true,
    allowedIps: [{ prefix: prefix('10.10.0.2/32') }],
  };
  expect(formatSet({ listenPort: 1, replacePeers: true, peers: [peer] })).toBe(
    `set=1\nlisten_port=1\nreplace_peers=true\npublic_key=${'02'.repeat(32)}\npreshared_key=${'66'.repeat(32)}\nendpoint=192.0.2.2:51820\nreplace_allowed_ips=true\nallowed_ip=10.10.0.2/32\n\n`,
  );
  const status = parseStatus(
    `private_key=${'00'.repeat(32)}\nlisten_port=4\npublic_key=${'02'.repeat(32)}\nendpoint=[2001:db8::1]:5\nlast_handshake_time_sec=12\nlast_handshake_time_nsec=500000000\ntx_bytes=7\nrx_bytes=8\npersistent_keepalive_interval=25\nallowed_ip=10.0.0.0/8\nallowed_ip=fd00::/8\nprotocol_version=1\npublic_key=${'03'.repeat(32)}\nlast_handshake_time_sec=0\nlast_handshake_time_nsec=0\nerrno=0\n\n`,
    () => undefined,
  );
  expect(status.listenPort).toBe(4);
  expect(status.peers).toMatchObject([
    { txBytes: 7, rxBytes: 8, lastHandshakeAt: 12_500, endpoint: { port: 5 } },
    { publicKey: key('03'.repeat(32)), lastHandshakeAt: undefined },
  ]);
  expect(answerErrno('a=b\nerrno=-22\n\n')).toBe(-22);
  expect(answerErrno('a=b\n\n')).toBeUndefined();
});
