import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import {
  KEEPALIVE_TIMEOUT,
  REJECT_AFTER_TIME,
  REKEY_ATTEMPT_TIME,
  REKEY_TIMEOUT,
  REKEY_TIMEOUT_JITTER,
} from '../../src/session/limits.ts';
import { type TimerAction, Timers } from '../../src/session/timers.ts';
import { seededRandom } from '../lab/random.ts';

const NOW = 1_000_000;
let timers: Timers;

beforeEach(() => {
  timers = new Timers(() => 0);
});

/** Runs the timers up to `until` and returns what fired when, relative to NOW. */
function run(until: number, react: (action: TimerAction, at: number) => void = () => {}) {
  const fired: [number, TimerAction][] = [];
  for (let at = timers.nextAt(); at <= NOW + until; at = timers.nextAt()) {
    for (const action of timers.due(at)) {
      fired.push([at - NOW, action]);
      react(action, at);
    }
  }
  return fired;
}

/** As `run`, retransmitting like a device. */
const runRetransmitting = (until: number) =>
  run(until, (action, at) => {
    if (action === 'retransmit-initiation') timers.initiationSent(at, true);
  });

test('nothing is armed in the beginning', () => {
  expect(timers.nextAt()).toBe(Number.POSITIVE_INFINITY);
  expect(timers.due(NOW)).toEqual([]);
});

describe('6.4, no response to an initiation', () => {
  test('it is sent again every REKEY_TIMEOUT and given up after REKEY_ATTEMPT_TIME', () => {
    timers.initiationSent(NOW, false);
    const fired = runRetransmitting(1_000_000_000);
    const retransmissions = fired.filter(([, action]) => action === 'retransmit-initiation');
    expect(retransmissions.map(([at]) => at)).toEqual(
      Array.from({ length: 17 }, (_, i) => (i + 1) * REKEY_TIMEOUT),
    );
    expect(fired[17]).toEqual([REKEY_ATTEMPT_TIME, 'give-up']);
    expect(fired.slice(18)).toEqual([[REKEY_ATTEMPT_TIME + 3 * REJECT_AFTER_TIME, 'zero-keys']]);
  });

  test('each interval has a jitter of its own, up to 334 ms', () => {
    const random = seededRandom(3);
    timers = new Timers(random);
    timers.initiationSent(NOW, false);
    const at = runRetransmitting(REKEY_ATTEMPT_TIME).map(([time]) => time);
    const intervals = at.map((time, i) => time - (at[i - 1] ?? 0) - REKEY_TIMEOUT);
    for (const jitter of intervals) {
      expect(jitter).toBeGreaterThanOrEqual(0);
      expect(jitter).toBeLessThan(REKEY_TIMEOUT_JITTER);
    }
    expect(new Set(intervals).size).toBeGreaterThan(10);
  });

  test('a finished handshake stops it', () => {
    timers.initiationSent(NOW, false);
    timers.handshakeComplete();
    expect(run(1_000_000)).toEqual([]);
  });

  test('data that is sent during the attempts starts REKEY_ATTEMPT_TIME anew', () => {
    timers.initiationSent(NOW, false);
    runRetransmitting(80_000);
    timers.initiationDeferred(NOW + 82_000, NOW + 85_000);
    const gaveUp = runRetransmitting(1_000_000).find(([, action]) => action === 'give-up');
    expect(gaveUp).toEqual([175_000, 'give-up']); // the first attempt 90 s after the 82nd second
  });

  test('a handshake wanted too soon after the last one is made when it may be', () => {
    timers.initiationSent(NOW, false);
    timers.handshakeComplete();
    timers.initiationDeferred(NOW + 1000, NOW + REKEY_TIMEOUT);
    timers.initiationDeferred(NOW + 2000, NOW + REKEY_TIMEOUT);
    expect(run(1_000_000).slice(0, 1)).toEqual([[REKEY_TIMEOUT, 'retransmit-initiation']]);
  });
});

describe('6.5, passive keepalive', () => {
  test('data received and nothing sent for KEEPALIVE_TIMEOUT: one keepalive', () => {
    timers.authenticatedPacketReceived(NOW);
    timers.dataReceived(NOW);
    expect(run(1_000_000)).toEqual([[KEEPALIVE_TIMEOUT, 'send-keepalive']]);
  });

  test('not if anything was sent meanwhile', () => {
    timers.dataReceived(NOW);
    timers.authenticatedPacketSent(NOW + 5000);
    expect(run(1_000_000)).toEqual([]);
  });

  test('data that went on coming in gets another one, counted from the first', () => {
    timers.dataReceived(NOW);
    timers.dataReceived(NOW + 4000);
    timers.dataReceived(NOW + 8000);
    expect(run(1_000_000)).toEqual([
      [KEEPALIVE_TIMEOUT, 'send-keepalive'],
      [2 * KEEPALIVE_TIMEOUT, 'send-keepalive'],
    ]);
  });

  test('a keepalive is not answered by a keepalive', () => {
    timers.authenticatedPacketReceived(NOW);
    expect(run(1_000_000)).toEqual([]);
  });
});

describe('6.5, a session that does not answer', () => {
  test('data sent and nothing received for KEEPALIVE + REKEY_TIMEOUT: a new handshake', () => {
    timers.authenticatedPacketSent(NOW);
    timers.dataSent(NOW);
    timers.dataSent(NOW + 9000); // what follows does not put it off
    expect(run(1_000_000)).toEqual([[KEEPALIVE_TIMEOUT + REKEY_TIMEOUT, 'new-handshake']]);
  });

  test('anything received puts it off until data is sent again', () => {
    timers.dataSent(NOW);
    timers.authenticatedPacketReceived(NOW + 14_000);
    timers.dataSent(NOW + 14_500);
    expect(run(1_000_000)).toEqual([[29_500, 'new-handshake']]);
  });

  test('keepalives that were sent do not count', () => {
    timers.authenticatedPacketSent(NOW);
    expect(run(1_000_000)).toEqual([]);
  });
});

test('6.3: keys are wiped three REJECT_AFTER_TIMEs after the last session was made', () => {
  timers.sessionDerived(NOW);
  timers.sessionDerived(NOW + 100_000);
  expect(run(10_000_000)).toEqual([[100_000 + 3 * REJECT_AFTER_TIME, 'zero-keys']]);
});

describe('persistent keepalive', () => {
  beforeEach(() => {
    timers.persistentKeepalive = 25;
  });

  test('fires at once when it is configured, then after every interval without a packet', () => {
    timers.persistentKeepaliveChanged(NOW);
    const fired = run(100_000, (_, at) => timers.authenticatedPacketSent(at));
    expect(fired.map(([at]) => at)).toEqual([0, 25_000, 50_000, 75_000, 100_000]);
  });

  test('any packet, sent or received, puts it off', () => {
    timers.persistentKeepaliveChanged(NOW);
    timers.authenticatedPacketSent(NOW + 10_000);
    timers.authenticatedPacketReceived(NOW + 20_000);
    expect(timers.nextAt()).toBe(NOW + 45_000);
  });

  test('it is tried again without a session, too', () => {
    timers.persistentKeepaliveChanged(NOW);
    expect(run(60_000).map(([at]) => at)).toEqual([0, 25_000, 50_000]);
  });

  test('switched off it stays off', () => {
    timers.persistentKeepaliveChanged(NOW);
    timers.persistentKeepalive = 0;
    timers.persistentKeepaliveChanged(NOW + 1);
    timers.authenticatedPacketSent(NOW + 2);
    expect(run(1_000_000)).toEqual([]);
  });
});

test('stop disarms everything', () => {
  timers.persistentKeepalive = 1;
  timers.initiationSent(NOW, false);
  timers.dataReceived(NOW);
  timers.dataReceived(NOW);
  timers.dataSent(NOW);
  timers.sessionDerived(NOW);
  timers.persistentKeepaliveChanged(NOW);
  timers.stop();
  expect(timers.nextAt()).toBe(Number.POSITIVE_INFINITY);
  timers.dataReceived(NOW);
  expect(run(100_000)).toEqual([[KEEPALIVE_TIMEOUT, 'send-keepalive']]); // no second one is left over
});

test('over any events, what is due at a time is disarmed by asking, and no timer is in the past', () => {
  type Event = (at: number) => void;
  const event = fc.constantFrom<Event>(
    (at) => timers.initiationSent(at, false),
    (at) => timers.initiationSent(at, true),
    (at) => timers.initiationDeferred(at, at + 1000),
    () => timers.handshakeComplete(),
    (at) => timers.sessionDerived(at),
    (at) => timers.dataSent(at),
    (at) => timers.dataReceived(at),
    (at) => timers.authenticatedPacketSent(at),
    (at) => timers.authenticatedPacketReceived(at),
    (at) => timers.persistentKeepaliveChanged(at),
    () => timers.stop(),
  );
  const steps = fc.array(fc.tuple(fc.nat(30_000), event), { maxLength: 60 });
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 0, max: 100 }), steps, (seed, interval, events) => {
      timers = new Timers(seededRandom(seed));
      timers.persistentKeepalive = interval;
      let now = NOW;
      for (const [elapsed, happen] of events) {
        now += elapsed;
        const armed = timers.nextAt();
        const due = timers.due(now);
        expect(due.length > 0).toBe(armed <= now);
        expect(new Set(due).size).toBe(due.length);
        expect(timers.nextAt()).toBeGreaterThan(now);
        happen(now);
      }
    }),
  );
});
