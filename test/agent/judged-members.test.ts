import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { OwnIdentity } from '../../src/agent/accepted-config.ts';
import { JudgedMembers } from '../../src/agent/judged-members.ts';
import type { Pin } from '../../src/agent/node-state.ts';
import { pinCheck } from '../../src/agent/pins.ts';
import type { MemberEntry } from '../../src/contract/epoch/member-entry.ts';
import { MembershipTree } from '../../src/contract/epoch/membership-tree.ts';
import { type KeyRecord, keyTexts } from '../../src/contract/key-record.ts';
import { defaultProvider } from '../../src/crypto/select.ts';

const crypto = defaultProvider();
const bytes = (value: number, length = 32) => new Uint8Array(length).fill(value);
const OWN = 'm';
const own = {
  nodeId: OWN,
  meshId: bytes(1),
  wireguardPublic: bytes(99),
} as unknown as OwnIdentity;
const TOLD = { epoch: 7, tunnelAddress: '10.10.0.99', tunnelPrefix: '10.10.0.0/24' };

const keysOf = (key: number) => ({
  wireguard: bytes(key),
  signing: bytes(key),
  sealing: bytes(key),
});

interface Told {
  readonly nodeId: string;
  readonly key: number;
  readonly address: number;
  readonly port: number;
  readonly sinceEpoch: number;
}

const entryOf = ({ nodeId, key, address, port, sinceEpoch }: Told): MemberEntry => ({
  nodeId,
  ...keysOf(key),
  recordSignature: bytes(key, 64),
  tunnelAddress: `10.10.${address > 20 ? 1 : 0}.${address}`,
  endpoint: `192.0.2.1:${port}`,
  sinceEpoch,
});

/** Key 0 stands for a record that its own key has not signed. */
const recordOf = ({ entry }: { entry: MemberEntry }): KeyRecord | undefined =>
  entry.wireguard[0] === 0 ? undefined : { meshId: own.meshId, ...entry };

const told = (nodeId: string, change: Partial<Told> = {}): Told => {
  const number = nodeId.charCodeAt(0) - 96;
  return { nodeId, key: number, address: number, port: 1, sinceEpoch: 1, ...change };
};

const membership = fc
  .uniqueArray(
    fc.record({
      nodeId: fc.constantFrom(...'abcdef'),
      // Seldom something that an honest controller does not say.
      key: fc.oneof(
        { weight: 40, arbitrary: fc.constant(-1) },
        { weight: 1, arbitrary: fc.nat(4) },
      ),
      address: fc.oneof(
        { weight: 40, arbitrary: fc.constant(-1) },
        { weight: 1, arbitrary: fc.constantFrom(1, 2, 21, 99) },
      ),
      port: fc.integer({ min: 1, max: 3 }),
      sinceEpoch: fc.oneof(
        { weight: 40, arbitrary: fc.nat(7) },
        { weight: 1, arbitrary: fc.constant(8) },
      ),
    }),
    { selector: (one) => one.nodeId, maxLength: 6 },
  )
  .map((all) =>
    all.map(({ nodeId, key, address, ...rest }) =>
      told(nodeId, { ...rest, ...(key >= 0 && { key }), ...(address >= 0 && { address }) }),
    ),
  );

const pin = fc.record({
  nodeId: fc.constantFrom(...'abcdef'),
  key: fc.nat(6),
  missing: fc.constantFrom(null, 10, 1_000_000),
});
const pinsOf = (all: readonly { nodeId: string; key: number; missing: number | null }[]) =>
  Object.fromEntries(
    all.map(({ nodeId, key, missing }): [string, Pin] => [
      nodeId,
      { ...keyTexts({ meshId: own.meshId, nodeId, ...keysOf(key) }), missing_s: missing },
    ]),
  );

test('one membership after the other is judged as if each were the first', () => {
  const step = fc.record({ members: membership, pins: fc.option(fc.array(pin, { maxLength: 3 })) });
  let [faults, refusals] = [0, 0];
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const judged = new JudgedMembers(own, recordOf);
      let tree = MembershipTree.empty(crypto);
      let pins = pinsOf([]);
      for (const { members, pins: others } of steps) {
        tree = tree.replacedBy([told(OWN, { key: 99, address: 99 }), ...members].map(entryOf));
        if (others) pins = pinsOf(others);
        const check = pinCheck(pins, 60);
        const [found, fresh] = [judged, new JudgedMembers(own, recordOf)].map((one) =>
          one.judge(tree, TOLD, check),
        );
        if (typeof fresh === 'string') {
          faults++;
          expect(typeof found).toBe('string'); // which of several is said first may differ
          continue;
        }
        if (typeof found === 'string') throw new Error(found);
        refusals += fresh!.refused.length;
        expect(found!.peers.values()).toEqual(fresh!.peers.values());
        expect(found!.refused.toSorted()).toEqual(fresh!.refused.toSorted());
        expect(found!.changed.toSorted()).toEqual(fresh!.changed.toSorted());
        expect(found!.roster).toEqual(fresh!.roster);
        for (const { nodeId, publicKey } of found!.peers.values()) {
          expect(judged.nodeOf(publicKey)).toBe(nodeId);
        }
      }
    }),
    { numRuns: 500 },
  );
  expect([faults > 20, refusals > 20]).toEqual([true, true]);
});

test('who only moves is judged alone: the others, and the list of all, stay the same objects', () => {
  const judged = new JudgedMembers(own, recordOf);
  const check = pinCheck({}, 60);
  const self = told(OWN, { key: 99, address: 99 });
  const tree = MembershipTree.empty(crypto).replacedBy([self, told('a'), told('b')].map(entryOf));
  const before = judged.judge(tree, TOLD, check);
  const moved = tree.with([], [entryOf(told('b', { port: 2 }))]);
  const after = judged.judge(moved, TOLD, check);
  if (typeof before === 'string' || typeof after === 'string') throw new Error('a fault');
  expect(after.peers.get('a')).toBe(before.peers.get('a'));
  expect(after.peers.get('b')!.endpoint).toBe('192.0.2.1:2');
  expect(after.roster).toBe(before.roster);
});

test('two may change places, in one membership', () => {
  const judged = new JudgedMembers(own, recordOf);
  const check = pinCheck({}, 60);
  const tree = MembershipTree.empty(crypto).replacedBy([told('a'), told('b')].map(entryOf));
  judged.judge(tree, TOLD, check);
  const swapped = tree.with(
    [],
    [told('a', { address: 2 }), told('b', { address: 1 })].map(entryOf),
  );
  expect(typeof judged.judge(swapped, TOLD, check)).toBe('object');
  const taken = swapped.with([], [entryOf(told('a', { address: 1 }))]);
  expect(judged.judge(taken, TOLD, check)).toBe('a: tunnel address given twice');
});

test('the node is told no address that somebody has, who has not changed either', () => {
  const judged = new JudgedMembers(own, recordOf);
  const check = pinCheck({}, 60);
  const tree = MembershipTree.empty(crypto).replacedBy([entryOf(told('a'))]);
  judged.judge(tree, TOLD, check);
  const another = { ...TOLD, tunnelAddress: '10.10.0.1' };
  expect(judged.judge(tree, another, check)).toBe('a: tunnel address given twice');
  expect(typeof judged.judge(tree, TOLD, check)).toBe('object');
});
