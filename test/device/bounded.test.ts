import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Barrier } from '../../src/device/barrier.ts';
import { HandshakeLoad } from '../../src/device/handshake-load.ts';
import {
  HANDSHAKE_QUEUE_LENGTH,
  HandshakeQueue,
  type QueuedHandshake,
} from '../../src/device/handshake-queue.ts';
import { RateLimiter } from '../../src/device/rate-limiter.ts';
import { ReceiverIndexes } from '../../src/device/receiver-indexes.ts';
import { Slots } from '../../src/device/slots.ts';
import { seededBytes } from '../lab/random.ts';

const NOW = 1_000_000;
const SOURCE = { family: 4, address: Uint8Array.of(192, 0, 2, 1), port: 1, scope: 0 } as const;
const handshake = (n = 0): QueuedHandshake => ({ message: Uint8Array.of(n), source: SOURCE });

describe('the handshake queue', () => {
  test('gives back what it was given, in order, and refuses beyond its bound', () => {
    const step = fc.oneof(fc.constant('shift' as const), fc.nat(255));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const queue = new HandshakeQueue();
        const naive: number[] = [];
        for (const each of steps) {
          if (each === 'shift') expect(queue.shift()?.message[0]).toBe(naive.shift());
          else if (queue.push(handshake(each))) naive.push(each);
          expect(queue.length).toBe(naive.length);
        }
      }),
    );
    const queue = new HandshakeQueue();
    for (let i = 0; i < HANDSHAKE_QUEUE_LENGTH; i++) expect(queue.push(handshake())).toBe(true);
    expect(queue.push(handshake())).toBe(false);
    queue.shift();
    expect(queue.push(handshake())).toBe(true);
  });

  test('keeps no more than twice its bound in memory, even if it never runs empty', () => {
    const queue = new HandshakeQueue();
    queue.push(handshake());
    for (let i = 0; i < 20_000; i++) {
      queue.push(handshake());
      queue.shift();
    }
    const { waiting } = queue as unknown as { waiting: unknown[] };
    expect(waiting.length).toBeLessThanOrEqual(2 * HANDSHAKE_QUEUE_LENGTH);
  });

  test('is under load from an eighth of its length on, and for a second after', () => {
    const queue = new HandshakeQueue();
    for (let i = 0; i < 127; i++) queue.push(handshake());
    expect(queue.isUnderLoad(NOW)).toBe(false);
    queue.push(handshake());
    expect(queue.isUnderLoad(NOW)).toBe(true);
    queue.clear();
    expect(queue.isUnderLoad(NOW + 999)).toBe(true);
    expect(queue.isUnderLoad(NOW + 1000)).toBe(false);
  });
});

describe('the rate of handshake messages', () => {
  const loaded = (perSecond: number, seconds: number): boolean => {
    const load = new HandshakeLoad();
    let high = false;
    for (let i = 0; i < perSecond * seconds; i++) high ||= load.count(NOW + (i * 1000) / perSecond);
    return high;
  };

  test('is no load at 400 a second for a minute, or a hundred at once', () => {
    expect(loaded(400, 60)).toBe(false);
    const load = new HandshakeLoad();
    for (let i = 0; i < 100; i++) expect(load.count(NOW)).toBe(false);
  });

  test('is load at 1000 a second, and over a second after it has ended', () => {
    expect(loaded(1000, 1)).toBe(true);
    const load = new HandshakeLoad();
    for (let i = 0; i < 10_000; i++) load.count(NOW);
    expect(load.count(NOW + 999)).toBe(true);
    expect(load.count(NOW + 2100)).toBe(false);
  });
});

describe('the rate limiter', () => {
  const v4 = (last: number) => Uint8Array.of(192, 0, 2, last);
  const v6 = (network: number, host: number) => {
    const address = new Uint8Array(16).fill(0x20);
    address[7] = network;
    address[15] = host;
    return address;
  };

  test('lets a burst of 5 through, then 20 a second', () => {
    const limiter = new RateLimiter();
    const burst = Array.from({ length: 20 }, () => limiter.allow(v4(1), NOW));
    expect(burst.filter(Boolean)).toHaveLength(5);
    let allowed = 0;
    for (let ms = 1; ms <= 10_000; ms++) if (limiter.allow(v4(1), NOW + ms)) allowed++;
    expect(allowed).toBe(200);
  });

  test('counts every IPv4 address by itself', () => {
    const limiter = new RateLimiter();
    for (let i = 0; i < 10; i++) limiter.allow(v4(1), NOW);
    expect(limiter.allow(v4(1), NOW)).toBe(false);
    expect(limiter.allow(v4(2), NOW)).toBe(true);
  });

  test('counts the whole /64 of an IPv6 address as one source', () => {
    const limiter = new RateLimiter();
    for (let host = 0; host < 5; host++) expect(limiter.allow(v6(1, host), NOW)).toBe(true);
    expect(limiter.allow(v6(1, 99), NOW)).toBe(false);
    expect(limiter.allow(v6(2, 99), NOW)).toBe(true);
  });

  test('does not mix up an IPv4 address and an IPv6 network', () => {
    const limiter = new RateLimiter();
    const network = new Uint8Array(16);
    network.set(v4(1));
    for (let i = 0; i < 10; i++) limiter.allow(network, NOW);
    expect(limiter.allow(v4(1), NOW)).toBe(true);
  });

  test('allows what a bucket that is filled continuously allows', () => {
    const gaps = fc.array(fc.nat(300), { maxLength: 100 });
    fc.assert(
      fc.property(gaps, (elapsed) => {
        const limiter = new RateLimiter();
        let now = NOW;
        let tokens = 5;
        for (const gap of elapsed) {
          now += gap;
          tokens = Math.min(5, tokens + (gap * 20) / 1000);
          const expected = tokens >= 1 - 1e-9;
          if (expected) tokens -= 1;
          expect(limiter.allow(v4(1), now)).toBe(expected);
        }
      }),
    );
  });

  test('remembers a bounded number of sources and refuses new ones beyond', () => {
    const limiter = new RateLimiter();
    let allowed = 0;
    for (let i = 0; i < 100_000; i++) {
      if (limiter.allow(Uint8Array.of(10, i >> 16, i >> 8, i), NOW)) allowed++;
    }
    expect(allowed).toBe(16_384);
    expect(limiter.size).toBe(16_384);
    expect(limiter.allow(v4(1), NOW + 1000)).toBe(true); // the others were forgotten by now
    expect(limiter.size).toBe(1);
  });
});

describe('receiver indices', () => {
  test('never collide among the live ones, even if randomness repeats', () => {
    const answers = [5, 5, 5, 6, 6, 5, 7];
    const random = () => Uint8Array.of(answers.shift()!, 0, 0, 0);
    const table = new ReceiverIndexes<string>(random);
    expect(['a', 'b', 'c'].map((entry) => table.add(entry))).toEqual([5, 6, 7]);
    expect(table.get(6)).toBe('b');
    table.delete(6);
    expect(table.get(6)).toBeUndefined();
  });

  test('use all 32 bits', () => {
    const table = new ReceiverIndexes<number>(seededBytes(9));
    const indices = Array.from({ length: 500 }, (_, i) => table.add(i));
    expect(indices.some((index) => index > 0x8000_0000)).toBe(true);
    const ones = new Array<number>(32).fill(0);
    for (const index of indices) {
      for (let bit = 0; bit < 32; bit++) ones[bit]! += (index >>> bit) & 1;
    }
    for (const count of ones) expect(Math.abs(count - 250)).toBeLessThan(80);
  });
});

test('slots are handed out once until they are released', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 100 }), (steps) => {
      const slots = new Slots(8);
      const taken: number[] = [];
      for (const take of steps) {
        if (take) {
          const slot = slots.take();
          expect(slot === undefined).toBe(taken.length === 8);
          if (slot !== undefined) {
            expect(taken).not.toContain(slot);
            expect(slot).toBeLessThan(8);
            taken.push(slot);
          }
        } else if (taken.length > 0) slots.release(taken.shift()!);
        expect(slots.available).toBe(8 - taken.length);
      }
    }),
  );
});

test('a barrier is done once everything that held it has let go', () => {
  let done = 0;
  const barrier = new Barrier(() => done++);
  const [first, second] = [barrier.hold(), barrier.hold()];
  first();
  barrier.release();
  expect(done).toBe(0);
  second();
  expect(done).toBe(1);
  new Barrier(() => done++).release();
  expect(done).toBe(2);
});
