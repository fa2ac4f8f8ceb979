import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type DesiredPeer, reconcile, removalOf, removalsOf } from '../../src/agent/reconcile.ts';
import { toBase64 } from '../../src/contract/encoding.ts';
import { NodeList } from '../../src/contract/node-list.ts';
import type { EpochKeys } from '../../src/device/preshared-key.ts';
import { FakeTunnel } from './support/fake-tunnel.ts';

const bytes = (value: number) => new Uint8Array(32).fill(value);

const peer = (nodeId: string, change: Partial<DesiredPeer> = {}): DesiredPeer => ({
  nodeId,
  publicKey: bytes(nodeId.charCodeAt(0)),
  key: { psk: bytes(1), generation: 1 },
  sinceEpoch: 1,
  tunnelAddress: '10.10.0.2',
  endpoint: '192.0.2.1:51820',
  ...change,
});

const peers = (...list: DesiredPeer[]) => ({ peers: NodeList.of(list) });

test('nothing changed, nothing done', () => {
  expect(reconcile(peers(peer('a')), peers(peer('a')))).toBeUndefined();
  expect(reconcile(peers(), peers())).toBeUndefined();
});

test('an unknown device is replaced as a whole', () => {
  expect(reconcile(undefined, peers())).toEqual({ replacePeers: true, peers: [] });
  expect(reconcile(undefined, peers(peer('a')))).toMatchObject({
    replacePeers: true,
    peers: [{ publicKey: bytes(97) }],
  });
});

test('removals come first, so that an address can move', () => {
  const change = reconcile(peers(peer('b')), peers(peer('a'), peer('c')))!;
  expect(change.peers!.map(({ remove }) => remove === true)).toEqual([true, false, false]);
  expect(removalsOf(change)).toEqual({ peers: [{ publicKey: bytes(98), remove: true }] });
});

test('a node with another key is removed under the old one and added under the new one', () => {
  const change = reconcile(peers(peer('a')), peers(peer('a', { publicKey: bytes(9) })))!;
  expect(change.peers).toMatchObject([
    { publicKey: bytes(97), remove: true },
    { publicKey: bytes(9), endpoint: { port: 51820 } },
  ]);
});

test('key, PSK and generation of a peer always come together, with its address where that is another', () => {
  for (const change of [
    { key: { psk: bytes(2), generation: 1 } },
    { key: { psk: bytes(1), generation: 2 } },
    { sinceEpoch: 2, key: { psk: bytes(1), generation: 2 } },
    { tunnelAddress: '10.10.0.9' },
    { endpoint: '192.0.2.7:1' },
    { endpoint: null },
  ]) {
    const [only] = reconcile(peers(peer('a')), peers(peer('a', change)))!.peers!;
    expect(only).toMatchObject({
      publicKey: bytes(97),
      presharedKey: change.key?.psk ?? bytes(1),
      generation: change.key?.generation ?? 1,
      expireBefore: change.sinceEpoch ?? 1,
    });
    const moved = change.tunnelAddress !== undefined;
    expect(only!.replaceAllowedIps).toBe(moved ? true : undefined);
    expect(only!.allowedIps?.length).toBe(moved ? 1 : undefined);
    expect('endpoint' in only!).toBe(typeof change.endpoint === 'string');
  }
});

test('a new peer comes with its address', () => {
  const [only] = reconcile(peers(), peers(peer('a')))!.peers!;
  expect(only).toMatchObject({ presharedKey: bytes(1), replaceAllowedIps: true });
  expect(only!.allowedIps).toHaveLength(1);
});

test('an epoch is one change for all peers without a key of their own', () => {
  const keys = (generation: number): EpochKeys => ({ generation, presharedKeyOf: () => bytes(5) });
  const { key: _, ...keyless } = peer('a');
  const [present, next] = [keys(1), keys(2)];
  const before = { ...peers(keyless, peer('b')), keys: present };
  expect(reconcile(before, { ...before })).toBeUndefined();
  expect(reconcile(before, { ...before, keys: next })).toEqual({ epoch: next });
  const moved = { ...keyless, endpoint: '192.0.2.2:51820' };
  const change = reconcile(before, { ...peers(moved, peer('b')), keys: next })!;
  expect(change.epoch).toBe(next);
  expect(change.peers).toMatchObject([{ publicKey: bytes(97), generation: 2 }]);
  expect(change.peers![0]!.presharedKey).toBeUndefined();
});

test('who is to go is taken off, and nobody else; a device that is not known is emptied', () => {
  const before = peers(peer('a'), peer('b'), peer('c'));
  expect(removalOf(before, ['b', 'nobody'])).toEqual({
    peers: [{ publicKey: bytes(98), remove: true }],
  });
  expect(removalOf(before, ['nobody'])).toBeUndefined();
  expect(removalOf(undefined, ['b'])).toEqual({ replacePeers: true, peers: [] });
});

test('an endpoint that is none spoils nothing but the way to whoever claims it', () => {
  for (const endpoint of [
    '255.255.255.255:1',
    '224.0.0.1:1',
    '0.0.0.0:1',
    '[::]:1',
    '[fe80::1]:1',
  ]) {
    const [only] = reconcile(undefined, peers(peer('a', { endpoint })))!.peers!;
    expect(only).toMatchObject({ publicKey: bytes(97), presharedKey: bytes(1) });
    expect('endpoint' in only!, endpoint).toBe(false);
  }
});

test('whatever the two peer lists are, the device ends with the second one', async () => {
  const list = fc
    .uniqueArray(
      fc.record({
        nodeId: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
        publicKey: fc.constantFrom(1, 2).map(bytes),
        key: fc.record({
          psk: fc.constantFrom(1, 2).map(bytes),
          generation: fc.constantFrom(1, 2, 3),
        }),
        sinceEpoch: fc.constantFrom(1, 2),
        tunnelAddress: fc.constantFrom('10.10.0.2', '10.10.0.3'),
        endpoint: fc.constantFrom(null, '192.0.2.1:1', '[2001:db8::1]:2'),
      }),
      { selector: (one) => one.nodeId },
    )
    .map((all) => {
      // keys are unique in a mesh
      return peers(
        ...all.map((one, i) => ({ ...one, publicKey: bytes(10 * i + one.publicKey[0]!) })),
      );
    });
  await fc.assert(
    fc.asyncProperty(list, list, async (before, after) => {
      const tunnel = new FakeTunnel();
      await tunnel.configure(reconcile(undefined, before)!);
      const change = reconcile(before, after);
      if (change) await tunnel.configure(change);
      const expected = after.peers.items.map((one) => [toBase64(one.publicKey), one.key!.psk]);
      const found = [...tunnel.peers].map(([key, one]) => [key, one.presharedKey]);
      expect(found.sort()).toEqual(expected.sort());
    }),
  );
});
