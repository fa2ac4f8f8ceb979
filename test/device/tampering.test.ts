import { beforeEach, describe, expect, test } from 'vitest';
import { nobleProvider } from '../../src/crypto/noble.ts';
import { CookieGenerator } from '../../src/noise/cookie.ts';
import { stateOf, Tap } from '../lab/inspect.ts';
import { Ledger } from '../lab/ledger.ts';
import { connect, type SimulatedNode, Simulation } from '../lab/simulation.ts';

/**
 * Whole devices with their data path: every byte of every message is flipped, in each of its bits
 * one after the other; the message must be rejected under a named reason, and nothing may change.
 * (test/vectors/tampering.test.ts does the same to messages of the official implementation.)
 */
const PSK = new Uint8Array(32).fill(3);
const MAC2_LENGTH = 16;

let simulation: Simulation;
let a: SimulatedNode;
let b: SimulatedNode;
let ledger: Ledger;
let tap: Tap;

beforeEach(() => {
  simulation = new Simulation(4);
  [a, b] = [simulation.addNode(), simulation.addNode()];
  connect(a, b, { presharedKey: PSK });
  ledger = new Ledger(simulation);
  tap = new Tap(simulation);
  simulation.filter = () => false; // the test delivers by hand
});

/** Has `to` handle a datagram. So little time passes that no timer is due, and that it is no flood. */
function deliver(to: SimulatedNode, datagram: Uint8Array): void {
  to.receive(datagram.slice(), to === a ? b.endpoint : a.endpoint);
  simulation.runFor(3);
}

/** Runs the handshake until `kind` has been sent; returns it. */
function handshakeUntil(kind: 'initiation' | 'response' | 'data'): Uint8Array {
  ledger.send(a, b);
  if (kind !== 'initiation') deliver(b, tap.of('initiation')[0]!.datagram);
  if (kind === 'data') deliver(a, tap.of('response')[0]!.datagram);
  simulation.runFor(300); // until control has looked at what the data path did
  return tap.of(kind)[0]!.datagram;
}

function expectNothingChanges(
  to: SimulatedNode,
  datagram: Uint8Array,
  range: { from?: number; to?: number; repair?: (message: Uint8Array) => void },
): Set<string> {
  const reasons = new Set<string>();
  const before = stateOf(to.core);
  const sent = tap.seen.length;
  for (let at = range.from ?? 0; at < (range.to ?? datagram.length); at++) {
    // All bits at once, and in turn one by one.
    for (const flip of [1 << (at & 7), 0xff]) {
      const wrong = datagram.slice();
      wrong[at]! ^= flip;
      range.repair?.(wrong);
      const drops = { ...to.drops };
      deliver(to, wrong);
      const changed = Object.entries(to.drops).filter(([k, n]) => n !== (drops[k] ?? 0));
      expect(changed, `byte ${at}`).toHaveLength(1);
      reasons.add(changed[0]![0]);
    }
  }
  expect(tap.seen.length).toBe(sent);
  expect(stateOf(to.core)).toBe(before);
  return reasons;
}

/** What anybody can do who knows the receiver's public key. */
const repairMac1 = (of: SimulatedNode) => (message: Uint8Array) =>
  new CookieGenerator(nobleProvider, of.publicKey).addMacs(message, 0);

describe('initiation', () => {
  test('each flipped byte is rejected and changes nothing; the true one is answered', () => {
    const initiation = handshakeUntil('initiation');
    const reasons = expectNothingChanges(b, initiation, { to: 148 - MAC2_LENGTH });
    expect(reasons).toEqual(new Set(['unknownMessageType', 'mac1Invalid']));
    deliver(b, initiation);
    expect(tap.of('response').length).toBe(1);
  });

  test('so is each byte under a mac1 that was made to fit', () => {
    const initiation = handshakeUntil('initiation');
    const reasons = expectNothingChanges(b, initiation, {
      from: 8, // the sender index in front is not authenticated, only echoed
      to: 148 - 2 * MAC2_LENGTH,
      repair: repairMac1(b),
    });
    expect([...reasons]).toEqual(['staticUndecryptable', 'timestampUndecryptable']);
    deliver(b, initiation);
    expect(tap.of('response').length).toBe(1);
  });

  test('a second time it is a replay, also with another sender index', () => {
    const initiation = handshakeUntil('initiation');
    deliver(b, initiation);
    const before = stateOf(b.core);
    deliver(b, initiation);
    const other = initiation.slice();
    other[4]! ^= 1;
    repairMac1(b)(other);
    deliver(b, other);
    expect(b.drops.timestampReplayed).toBe(2);
    expect(stateOf(b.core)).toBe(before);
    expect(tap.of('response').length).toBe(1);
  });
});

describe('response', () => {
  test('each flipped byte is rejected and changes nothing; the true one is taken', () => {
    const response = handshakeUntil('response');
    const reasons = expectNothingChanges(a, response, { to: 92 - MAC2_LENGTH });
    expect(reasons).toEqual(new Set(['unknownMessageType', 'mac1Invalid']));
    deliver(a, response);
    expect(tap.of('data').length).toBe(1);
  });

  test('so is each byte under a mac1 that was made to fit', () => {
    const response = handshakeUntil('response');
    const reasons = expectNothingChanges(a, response, {
      from: 8, // the sender index in front is not authenticated: see the next test
      to: 92 - 2 * MAC2_LENGTH,
      repair: repairMac1(a),
    });
    expect([...reasons]).toEqual(['responseReceiverUnknown', 'responseUnauthenticated']);
    deliver(a, response);
    expect(tap.of('data').length).toBe(1);
  });

  test('a second time it has no receiver any more', () => {
    const response = handshakeUntil('response');
    deliver(a, response);
    const before = stateOf(a.core);
    deliver(a, response);
    expect(a.drops.responseReceiverUnknown).toBe(1);
    expect(stateOf(a.core)).toBe(before);
  });
});

test('transport data: each flipped byte is rejected and changes nothing; the true one is taken', () => {
  const data = handshakeUntil('data');
  const reasons = expectNothingChanges(b, data, {});
  expect(reasons).toEqual(
    new Set(['unknownMessageType', 'unknownReceiverIndex', 'authenticationFailed']),
  );
  expect(ledger.missing).toBe(1);
  deliver(b, data);
  expect(ledger.missing).toBe(0);
  const before = stateOf(b.core);
  deliver(b, data);
  expect(b.drops.replayed).toBe(1);
  expect(stateOf(b.core)).toBe(before);
  expect(ledger.violations.duplicated).toBe(0);
});

test.each(['initiation', 'response', 'data'] as const)(
  '%s: every other length is rejected and changes nothing',
  (kind) => {
    const datagram = handshakeUntil(kind);
    const to = kind === 'response' ? a : b;
    const before = stateOf(to.core);
    const drops = () => Object.values(to.drops).reduce((sum, count) => sum + count, 0);
    for (let length = 0; length < datagram.length + 40; length++) {
      if (length === datagram.length) continue;
      const other = new Uint8Array(length);
      other.set(datagram.subarray(0, length));
      const counted = drops();
      deliver(to, other);
      expect(drops(), `length ${length}`).toBe(counted + 1);
    }
    expect(stateOf(to.core)).toBe(before);
  },
);
