import { beforeEach, describe, expect, test, vi } from 'vitest';
import { REJECT_AFTER_MESSAGES, REKEY_AFTER_MESSAGES } from '../../src/session/limits.ts';
import { sendingSlot, setSendCounter, slotsWithKeys, Tap } from '../lab/inspect.ts';
import { Ledger } from '../lab/ledger.ts';
import { connect, type SimulatedNode, Simulation } from '../lab/simulation.ts';

/** Simulations compute; on a busy machine that takes its time. */
vi.setConfig({ testTimeout: 90_000 });

/**
 * The rules of section 6 of the paper as they show on the wire. The device looks at what the data
 * path did four times a second, so times that follow from traffic are up to 250 ms late.
 */
let simulation: Simulation;
let a: SimulatedNode;
let b: SimulatedNode;
let ledger: Ledger;
let tap: Tap;

beforeEach(() => {
  simulation = new Simulation(1);
  a = simulation.addNode();
  b = simulation.addNode();
  connect(a, b);
  ledger = new Ledger(simulation);
  tap = new Tap(simulation);
});

/** A packet every `interval` ms until `end` ms from the beginning. */
function stream(from: SimulatedNode, to: SimulatedNode, interval: number, end: number): void {
  const last = simulation.now + end;
  const tick = () => {
    ledger.send(from, to);
    if (simulation.now + interval < last) simulation.after(interval, tick);
  };
  simulation.after(1, tick);
}

describe('6.2, renewing a session', () => {
  test('the initiator does it when it sends after REKEY_AFTER_TIME, the responder does not', () => {
    stream(a, b, 100, 600_000);
    simulation.runFor(100);
    stream(b, a, 100, 599_900);
    simulation.runFor(599_900);
    expect(tap.seconds('initiation', a)).toEqual([0, 120, 240, 360, 480]);
    expect(tap.seconds('initiation', b)).toEqual([]);
    simulation.runFor(1000);
    expect(ledger.missing).toBe(0);
  });

  test('an idle session is not renewed', () => {
    ledger.send(a, b);
    simulation.runFor(3_600_000);
    expect(tap.seconds('initiation')).toEqual([0]);
  });

  test('an initiator that only receives renews when the session is 165 s old, once', () => {
    ledger.send(a, b);
    simulation.runFor(1000);
    b.configure({ peers: [{ publicKey: a.publicKey, persistentKeepalive: 3 }] });
    simulation.runFor(199_000);
    expect(tap.seconds('initiation', b)).toEqual([]);
    const [first, renewal, ...more] = tap.of('initiation', a).map(({ at }) => at);
    expect(first).toBe(0);
    expect(renewal).toBeGreaterThan(165_000);
    expect(renewal).toBeLessThan(168_500);
    expect(more).toEqual([]);
  });

  test('after REKEY_AFTER_MESSAGES either side renews, and goes on sending meanwhile', () => {
    for (const node of [a, b]) {
      ledger.send(node, node === a ? b : a);
      simulation.runFor(10_000);
      tap.clear();
      setSendCounter(node.core, sendingSlot(node.core), REKEY_AFTER_MESSAGES - 1n);
      ledger.send(node, node === a ? b : a);
      expect(tap.seconds('initiation')).toEqual([]);
      ledger.send(node, node === a ? b : a);
      expect(tap.seconds('initiation', node)).toHaveLength(1);
      expect(tap.seconds('data', node)).toHaveLength(2);
      simulation.runFor(10_000);
      expect(ledger.missing).toBe(0);
    }
  });
});

describe('6.3, the end of a session', () => {
  test('nothing is sent or accepted on it after REJECT_AFTER_TIME, and its keys are zero', () => {
    ledger.send(a, b);
    simulation.runFor(1000);
    const held: Uint8Array[] = [];
    simulation.filter = (datagram) => {
      held.push(datagram.slice());
      return false;
    };
    ledger.send(a, b);
    ledger.send(b, a);
    // A second before the end one of the two is still taken, after it the other one is not.
    simulation.runUntil(180_000);
    expect(slotsWithKeys(b.core)).not.toEqual([]);
    b.receive(held[0]!, a.endpoint);
    expect(ledger.deliveredCount(a, b)).toBe(2);
    simulation.runFor(2000);
    for (const node of [a, b]) expect(slotsWithKeys(node.core)).toEqual([]);
    a.receive(held[1]!, b.endpoint);
    expect(ledger.deliveredCount(b, a)).toBe(0);
    expect(a.drops.unknownReceiverIndex).toBe(1);
    tap.clear();
    ledger.send(a, b);
    expect(tap.seconds('data')).toEqual([]);
    expect(tap.seconds('initiation')).toHaveLength(1);
  });

  test('no counter from REJECT_AFTER_MESSAGES on is used: packets wait for a new session', () => {
    ledger.send(a, b);
    simulation.runFor(10_000);
    setSendCounter(a.core, sendingSlot(a.core), REJECT_AFTER_MESSAGES - 1n);
    tap.clear();
    ledger.send(a, b);
    expect(tap.seconds('data')).toHaveLength(1);
    ledger.send(a, b);
    expect(tap.seconds('data')).toHaveLength(1);
    simulation.runFor(1000);
    expect(ledger.missing).toBe(0);
    expect(tap.seconds('data')).toHaveLength(2);
  });
});

describe('6.4, a peer that does not answer', () => {
  test('gets an initiation every 5 s for 90 s; then what is staged is dropped', () => {
    b.stop();
    ledger.send(a, b);
    simulation.runFor(1_000_000);
    const at = tap.of('initiation').map((seen) => seen.at);
    expect(at).toHaveLength(18);
    at.slice(1).forEach((time, i) => {
      expect(time - at[i]!).toBeGreaterThanOrEqual(5000);
      expect(time - at[i]!).toBeLessThan(5335);
    });
    expect(a.drops.stagedGivenUp).toBe(1);
  });

  test('each initiation is new: ephemeral, index and timestamp', () => {
    b.stop();
    ledger.send(a, b);
    simulation.runFor(60_000);
    const initiations = tap.of('initiation').map(({ datagram }) => datagram);
    for (const [from, to] of [
      [4, 8],
      [8, 40],
      [88, 116],
    ] as const) {
      const parts = initiations.map((datagram) => datagram.slice(from, to).toHex());
      expect(new Set(parts).size).toBe(initiations.length);
    }
  });

  test('is tried as long as data is sent', () => {
    b.stop();
    stream(a, b, 3000, 400_000);
    simulation.runFor(400_000);
    expect(tap.of('initiation').length).toBeGreaterThanOrEqual(75);
    expect(a.drops.stagedGivenUp).toBeUndefined();
    b.restart();
    connect(a, b);
    simulation.runFor(6000);
    // The latest 128 packets were kept.
    expect(ledger.deliveredCount(a, b)).toBe(128);
  });

  test('a packet that has to wait right after a session was lost is sent as soon as it may be', () => {
    ledger.send(a, b);
    simulation.runFor(1000);
    a.core.expireAllSessions(a.clock);
    ledger.send(a, b);
    simulation.runFor(3000);
    expect(ledger.missing).toBe(1); // REKEY_TIMEOUT since the last initiation is not over
    simulation.runFor(3000);
    expect(ledger.missing).toBe(0);
  });
});

describe('6.5, keepalives', () => {
  test('data that is not answered gets one keepalive after 10 s, which gets none', () => {
    ledger.send(a, b);
    simulation.runFor(5000);
    ledger.send(a, b);
    tap.clear();
    simulation.runFor(600_000);
    expect(tap.seconds('keepalive', b)).toEqual([10]);
    expect(tap.seconds('keepalive', a)).toEqual([]);
    expect(tap.seconds('initiation')).toEqual([]);
  });

  test('traffic both ways needs none', () => {
    stream(a, b, 1000, 100_000);
    stream(b, a, 1000, 100_000);
    simulation.runFor(100_000);
    expect(tap.seconds('keepalive')).toEqual([]);
  });

  test('data to a peer that fell silent starts a new handshake after 15 s', () => {
    stream(a, b, 500, 60_000);
    stream(b, a, 500, 60_000);
    simulation.runFor(30_250);
    b.stop();
    tap.clear();
    simulation.runFor(30_000);
    const after = tap.of('initiation', a)[0]!.at - 30_250;
    expect(after).toBeGreaterThan(14_900);
    expect(after).toBeLessThan(16_000);
  });

  test('persistent keepalives leave at every interval, over a day, through idle sessions', () => {
    a.configure({ peers: [{ publicKey: b.publicKey, persistentKeepalive: 25 }] });
    simulation.runFor(86_400_000);
    const sent = tap.seen.filter((seen) => seen.from === a).map((seen) => seen.at);
    const gaps = sent.slice(1).map((at, i) => at - sent[i]!);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(25_250);
    // All sessions were renewed in time by keepalives alone, from the side that has them.
    const renewals = tap.of('initiation', a).length;
    expect(renewals).toBeGreaterThanOrEqual(86_400 / 150);
    expect(renewals).toBeLessThanOrEqual(86_400 / 120 + 1);
    expect(tap.seconds('initiation', b)).toEqual([]);
  });
});

test('two days of bursts and pauses: everything arrives, and nothing is left behind', () => {
  const { random } = simulation;
  const burst = () => {
    const [from, to] = random() < 0.5 ? [a, b] : [b, a];
    const packets = 1 + Math.floor(random() * 20);
    for (let i = 0; i < packets; i++)
      simulation.after(random() * 5000, () => ledger.send(from, to));
    simulation.after(random() * 600_000, burst);
  };
  burst();
  simulation.runFor(2 * 86_400_000);
  simulation.filter = () => true;
  expect(ledger.totalSent).toBeGreaterThan(5000);
  simulation.runFor(5000);
  expect(ledger.violations).toEqual({ duplicated: 0, altered: 0, misdelivered: 0 });
  expect(ledger.missing).toBe(0);
  for (const node of [a, b]) expect(slotsWithKeys(node.core).length).toBeLessThanOrEqual(3);
});
