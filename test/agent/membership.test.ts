import { expect, test } from 'vitest';
import type { AcceptedConfig } from '../../src/agent/accepted-config.ts';
import { Counters } from '../../src/agent/counters.ts';
import { Membership } from '../../src/agent/membership.ts';
import type { KeyRecord } from '../../src/contract/key-record.ts';
import { NodeList } from '../../src/contract/node-list.ts';
import { SimClock } from '../lab/agent-clock.ts';
import { memoryState } from '../lab/memory-state.ts';
import { FakeTunnel } from './support/fake-tunnel.ts';

const OWN = 'node-a';

/** A member whose disk takes a turn of its own for the newest version: `write` lets it. */
function started() {
  const tunnel = new FakeTunnel();
  const clock = new SimClock();
  const state = memoryState();
  const writes: (() => void)[] = [];
  let isSlow = false;
  const membership = new Membership({
    tunnel,
    clock,
    state: {
      ...state,
      writeMark: async (mark) => {
        if (isSlow) await new Promise<void>((resolve) => writes.push(resolve));
        await state.writeMark(mark);
      },
    },
    epochS: 60,
    counters: new Counters(),
    emit: () => {},
  });
  const config = (epoch: number, since: Readonly<Record<string, number>>): AcceptedConfig =>
    ({
      document: { epoch, version: epoch, issued_at: 0, lifetime_s: 180, allowed: true },
      peers: NodeList.of(
        Object.entries(since).map(([nodeId, sinceEpoch], i) => ({
          nodeId,
          publicKey: recordOf(nodeId).wireguard,
          record: recordOf(nodeId),
          tunnelAddress: `10.10.0.${i + 3}`,
          endpoint: null,
          sinceEpoch,
          key: { psk: new Uint8Array(32).fill(epoch), generation: epoch },
        })),
      ),
      roster: [],
      expiresAt: clock.boot() + 180,
    }) as unknown as AcceptedConfig;
  return {
    membership,
    config,
    clock,
    removed: (epoch: number, ...nodes: string[]) =>
      membership.removeAtOnce({ epoch, version: epoch }, nodes, OWN),
    slowDisk: () => {
      isSlow = true;
      return () => {
        isSlow = false;
        for (const write of writes.splice(0)) write();
      };
    },
    /** Ids of the peers that the device has. */
    onDevice: () => [...tunnel.peers.values()].map(({ publicKey }) => nodeOf(publicKey)).sort(),
  };
}

const recordOf = (nodeId: string) => {
  const key = keyOf(nodeId);
  return { nodeId, wireguard: key, signing: key, sealing: key } as unknown as KeyRecord;
};
const keyOf = (nodeId: string): Uint8Array => new TextEncoder().encode(nodeId.padEnd(32, '.'));
const nodeOf = (key: Uint8Array): string => new TextDecoder().decode(key).replace(/\.+$/, '');

test('a removal between the config in force and the newest version known is applied when it is told', async () => {
  const { membership, config, removed, onDevice } = started();
  await membership.start();
  await membership.apply(config(2, { 'node-b': 1, 'node-c': 1, 'node-d': 1 }));
  await removed(6, 'node-b');
  expect(onDevice()).toEqual(['node-c', 'node-d']);
  expect(await removed(3, 'node-c')).toBe(true); // the header of 3 was asked for, and came late
  expect(onDevice()).toEqual(['node-d']);
  expect(membership.mark).toEqual({ epoch: 6, version: 6 });
  expect(await removed(2, 'node-d')).toBe(false); // what is in force was decided with that
  expect(onDevice()).toEqual(['node-d']);
});

test('an earlier removal that comes while a later config is put in force takes nobody out of it', async () => {
  const { membership, config, removed, onDevice, slowDisk, clock } = started();
  await membership.start();
  await membership.apply(config(2, { 'node-b': 1, 'node-c': 1 }));
  const write = slowDisk();
  const applied = membership.apply(config(4, { 'node-b': 4, 'node-c': 1 }));
  await clock.settle();
  const told = removed(3, 'node-b'); // out in 3, in again in 4
  expect(onDevice()).toEqual(['node-c']);
  await clock.settle();
  write();
  expect(await applied).toBe(true);
  await told;
  expect(onDevice()).toEqual(['node-b', 'node-c']);
  expect([...membership.peers.keys()]).toEqual(['node-b', 'node-c']);
});
