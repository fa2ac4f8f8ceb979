import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AllowedIps } from '../../src/datapath/allowedips.ts';
import { NONE } from '../../src/datapath/memory.ts';
import type { Prefix } from '../../src/wire/prefix.ts';
import { cpuMs } from '../lab/cpu.ts';

function bit(address: Uint8Array, index: number): number {
  return (address[index >> 3]! >> (7 - (index & 7))) & 1;
}

function masked(address: Uint8Array, length: number): Uint8Array {
  return address.map((_, i) => {
    let byte = 0;
    for (let b = i * 8; b < Math.min(length, i * 8 + 8); b++) {
      byte |= bit(address, b) << (7 - (b & 7));
    }
    return byte;
  });
}

/** A list searched from end to end. */
class NaiveAllowedIps {
  private entries: { prefix: Prefix; peer: number }[] = [];

  get size(): number {
    return this.entries.length;
  }

  insert(prefix: Prefix, peer: number): void {
    this.remove(prefix);
    this.entries.push({ prefix, peer });
  }

  remove(prefix: Prefix): boolean {
    const before = this.entries.length;
    this.entries = this.entries.filter(
      (entry) =>
        entry.prefix.length !== prefix.length ||
        Buffer.compare(entry.prefix.address, prefix.address) !== 0,
    );
    return this.entries.length < before;
  }

  removePeer(peer: number): void {
    this.entries = this.entries.filter((entry) => entry.peer !== peer);
  }

  lookup(address: Uint8Array): number {
    let best = NONE;
    let bestLength = -1;
    for (const { prefix, peer } of this.entries) {
      if (prefix.address.length !== address.length || prefix.length <= bestLength) continue;
      let same = true;
      for (let i = 0; i < prefix.length; i++) {
        if (bit(prefix.address, i) !== bit(address, i)) same = false;
      }
      if (same) {
        best = peer;
        bestLength = prefix.length;
      }
    }
    return best;
  }
}

function lookup(table: AllowedIps, address: Uint8Array): number {
  // At an odd offset, as in a packet.
  const packet = new DataView(new ArrayBuffer(address.length + 3));
  for (let i = 0; i < address.length; i++) packet.setUint8(3 + i, address[i]!);
  return address.length === 4 ? table.lookup4(packet, 3) : table.lookup6(packet, 3);
}

/** Addresses that share long stretches of bits, so that prefixes nest and fork. */
const addressOf = (bytes: number) =>
  fc
    .array(fc.constantFrom(0, 0, 0, 255, 128, 1, 10), { minLength: bytes, maxLength: bytes })
    .map((values) => Uint8Array.from(values));

const anyAddress = fc.oneof(addressOf(4), addressOf(16));

const anyPrefix = anyAddress.chain((address) =>
  fc
    .integer({ min: 0, max: address.length * 8 })
    .map((length): Prefix => ({ address: masked(address, length), length })),
);

type Step =
  | { kind: 'insert'; prefix: Prefix; peer: number }
  | { kind: 'remove'; prefix: Prefix }
  | { kind: 'removePeer'; peer: number };

const peer = fc.integer({ min: 0, max: 5 });
const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('insert'), prefix: anyPrefix, peer }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('remove'), prefix: anyPrefix }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('removePeer'), peer }) },
  ) as fc.Arbitrary<Step>,
  { maxLength: 60 },
);

const prefix = (text: string, length: number): Prefix => ({
  address: Uint8Array.from(text.split('.').map(Number)),
  length,
});
const ip = (text: string): Uint8Array => Uint8Array.from(text.split('.').map(Number));

describe('allowed-ips', () => {
  test('agrees with a list searched from end to end', () => {
    fc.assert(
      fc.property(steps, fc.array(anyAddress, { maxLength: 20 }), (changes, addresses) => {
        const table = new AllowedIps();
        const naive = new NaiveAllowedIps();
        const known: Prefix[] = [];
        for (const step of changes) {
          if (step.kind === 'insert') {
            table.insert(step.prefix, step.peer);
            naive.insert(step.prefix, step.peer);
            known.push(step.prefix);
          } else if (step.kind === 'remove') {
            // Half of the time one that was inserted.
            const chosen =
              known.length > 0 && step.prefix.length % 2 === 0
                ? known[step.prefix.length % known.length]!
                : step.prefix;
            expect(table.remove(chosen)).toBe(naive.remove(chosen));
          } else {
            table.removePeer(step.peer);
            naive.removePeer(step.peer);
          }
          expect(table.size).toBe(naive.size);
        }
        for (const address of [...addresses, ...known.map((entry) => entry.address)]) {
          expect(lookup(table, address)).toBe(naive.lookup(address));
        }
      }),
      { numRuns: 1000 },
    );
  });

  test('the longest prefix wins', () => {
    const table = new AllowedIps();
    table.insert(prefix('0.0.0.0', 0), 1);
    table.insert(prefix('10.0.0.0', 8), 2);
    table.insert(prefix('10.1.0.0', 16), 3);
    table.insert(prefix('10.1.2.3', 32), 4);
    expect(lookup(table, ip('9.9.9.9'))).toBe(1);
    expect(lookup(table, ip('10.2.0.1'))).toBe(2);
    expect(lookup(table, ip('10.1.0.1'))).toBe(3);
    expect(lookup(table, ip('10.1.2.3'))).toBe(4);
    expect(lookup(table, new Uint8Array(16))).toBe(NONE);
  });

  test('a prefix given to another peer is taken from the first', () => {
    const table = new AllowedIps();
    table.insert(prefix('10.0.0.0', 24), 1);
    table.insert(prefix('10.0.0.0', 24), 2);
    expect(table.size).toBe(1);
    expect(lookup(table, ip('10.0.0.7'))).toBe(2);
    table.removePeer(1);
    expect(lookup(table, ip('10.0.0.7'))).toBe(2);
    table.removePeer(2);
    expect(lookup(table, ip('10.0.0.7'))).toBe(NONE);
  });

  test('host bits of a prefix do not count', () => {
    const table = new AllowedIps();
    table.insert(prefix('10.0.0.99', 24), 1);
    expect(lookup(table, ip('10.0.0.1'))).toBe(1);
    expect(table.remove(prefix('10.0.0.0', 24))).toBe(true);
  });

  test('refuses what is not a prefix', () => {
    const table = new AllowedIps();
    expect(() => table.insert({ address: new Uint8Array(5), length: 1 }, 0)).toThrow(RangeError);
    expect(() => table.insert({ address: new Uint8Array(4), length: 33 }, 0)).toThrow(RangeError);
    expect(() => table.insert({ address: new Uint8Array(4), length: -1 }, 0)).toThrow(RangeError);
  });

  test('100,000 prefixes go in, are found and go out in seconds, twice in the same memory', async () => {
    const table = new AllowedIps();
    const count = 100_000;
    const at = (i: number): Prefix => ({
      address: Uint8Array.from([10 + (i >> 16), (i >> 8) & 255, i & 255, (i * 37) & 255]),
      length: 32,
    });
    const ms = await cpuMs(async () => {
      for (let round = 0; round < 2; round++) {
        for (let i = 0; i < count; i++) table.insert(at(i), i % 50);
        expect(table.size).toBe(count);
        for (let i = 0; i < count; i += 7) expect(lookup(table, at(i).address)).toBe(i % 50);
        for (let p = 0; p < 50; p++) table.removePeer(p);
        expect(table.size).toBe(0);
      }
    });
    expect(ms).toBeLessThan(5000);
  });
});
