import { describe, expect, test } from 'vitest';
import { type Rank, RotationWindow } from '../../src/device/rotation-window.ts';

function windowWith(...waiting: [peer: string, rank: Rank][]): RotationWindow<string> {
  const window = new RotationWindow<string>();
  for (const [peer, rank] of waiting) window.wait(peer, rank);
  return window;
}

/** Starts whatever there is room for. */
function start(window: RotationWindow<string>, now: number): string[] {
  const started: string[] = [];
  for (let peer = window.take(now); peer !== undefined; peer = window.take(now)) {
    window.sent(peer, now);
    started.push(peer);
  }
  return started;
}

describe('the window of rotation handshakes', () => {
  test('lets two go, and the next one when one is answered', () => {
    const window = windowWith(['a', 1], ['b', 1], ['c', 1], ['d', 1]);
    expect(start(window, 0)).toEqual(['a', 'b']);
    expect(start(window, 100)).toEqual([]);
    window.answered('b', 100);
    expect(start(window, 100)).toEqual(['c']);
  });

  test('lets those go first that wait for us, and those last that may be absent', () => {
    const window = windowWith(['absent', 2], ['known', 1], ['waits', 0], ['also known', 1]);
    const order: string[] = [];
    for (let now = 0; order.length < 4; now++) {
      const started = start(window, now);
      order.push(...started);
      for (const peer of started) window.answered(peer, now);
    }
    expect(order).toEqual(['waits', 'known', 'also known', 'absent']);
  });

  test('makes room when an answer is not likely to come any more, and says when', () => {
    const window = windowWith(['a', 1], ['b', 1], ['c', 1]);
    start(window, 1000);
    expect(window.nextAt()).toBe(1000 + window.patience);
    expect(start(window, 1000 + window.patience - 1)).toEqual([]);
    expect(start(window, 1000 + window.patience)).toEqual(['c']);
    expect(window.nextAt()).toBe(Number.POSITIVE_INFINITY);
  });

  test('is patient where answers take long, within bounds', () => {
    const window = windowWith();
    expect(window.patience).toBe(250);
    let now = 0;
    for (let i = 0; i < 50; i++) {
      window.sent('a', now);
      now += 300;
      window.answered('a', now);
    }
    expect(window.patience).toBeGreaterThan(1100);
    for (let i = 0; i < 50; i++) {
      window.sent('a', now);
      now += 3000;
      window.answered('a', now);
    }
    expect(window.patience).toBe(1500);
  });

  /** Handshakes completed in `duration` if each of n under way at once takes `time(n)` ms. */
  function completed(duration: number, time: (underWay: number) => number): number {
    const window = windowWith();
    for (let i = 0; i < 10_000; i++) window.wait(`peer ${i}`, 1);
    const answers: { peer: string; at: number }[] = [];
    let underWay = 0;
    let done = 0;
    for (let now = 0; now < duration; now++) {
      for (const { peer } of answers.filter(({ at }) => at === now)) {
        window.answered(peer, now);
        underWay--;
        done++;
      }
      for (const peer of start(window, now)) {
        underWay++;
        answers.push({ peer, at: now + Math.ceil(time(underWay)) });
      }
    }
    return done;
  }

  test('opens on a long path, where waiting for each answer would take an epoch', () => {
    expect(completed(5000, () => 100)).toBeGreaterThan(500);
  });

  test('stays small where each handshake makes the others wait', () => {
    const window = windowWith();
    for (let i = 0; i < 1000; i++) window.wait(`peer ${i}`, 1);
    let now = 0;
    let most = 0;
    let underWay: string[] = [];
    for (let round = 0; round < 200; round++) {
      underWay = [...underWay, ...start(window, now)];
      most = Math.max(most, underWay.length);
      now += 30; // one after the other
      window.answered(underWay.shift()!, now);
    }
    expect(most).toBeLessThanOrEqual(4);
  });

  test('absent peers hold up nobody who is there', () => {
    const window = windowWith();
    for (let i = 0; i < 100; i++) window.wait(`absent ${i}`, 2);
    for (let i = 0; i < 50; i++) window.wait(`present ${i}`, 1);
    let present = 0;
    let now = 0;
    for (; present < 50; now++) {
      for (const peer of start(window, now)) {
        if (!peer.startsWith('present')) continue;
        window.answered(peer, now);
        present++;
      }
    }
    expect(now).toBeLessThan(60);
  });

  test('forgets whoever needs no handshake any more', () => {
    const window = windowWith(['a', 1], ['b', 1], ['c', 1]);
    start(window, 0);
    window.forget('a');
    window.forget('c');
    expect(window.take(0)).toBeUndefined();
    expect([window.isUnderWay('a'), window.isWaiting('c')]).toEqual([false, false]);
  });
});
