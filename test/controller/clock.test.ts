import { expect, test } from 'vitest';
import { steadyClock } from '../../src/controller/clock.ts';

function sources() {
  const time = { wall: 1_000_000, monotonic: 500, boot: 9_000 };
  return {
    time,
    clock: (notBefore = 0) =>
      steadyClock(notBefore, {
        wall: () => time.wall,
        monotonic: () => time.monotonic,
        boot: () => time.boot,
      }),
    pass(ms: number) {
      time.monotonic += ms;
      time.boot += ms;
      time.wall += ms;
    },
  };
}

test('steps of the wall clock, back or ahead, change nothing', () => {
  const { time, clock, pass } = sources();
  const steady = clock();
  pass(10_000);
  time.wall -= 3_600_000;
  expect(steady.now()).toBe(1_010_000);
  time.wall += 7_200_000;
  pass(1);
  expect(steady.now()).toBe(1_010_001);
});

test('a wall clock that was set back while no controller ran starts at the newest time stored', () => {
  const { clock, pass } = sources();
  const steady = clock(5_000_000);
  pass(2000);
  expect(steady.now()).toBe(5_002_000);
});

test('time that the machine slept counts', () => {
  const { time, clock, pass } = sources();
  const steady = clock();
  pass(5000);
  expect(steady.now()).toBe(1_005_000);
  time.boot += 600_000;
  pass(1000);
  expect(steady.now()).toBe(1_606_000);
  pass(1000);
  expect(steady.now()).toBe(1_607_000);
});

test('the grain of the boot clock is not taken for sleep', () => {
  const { time, clock, pass } = sources();
  const steady = clock();
  let before = steady.now();
  for (let i = 0; i < 100; i++) {
    pass(1000);
    time.boot += i % 2 === 0 ? 1000 : -1000;
    expect(steady.now() - before).toBe(1000);
    before = steady.now();
  }
});
