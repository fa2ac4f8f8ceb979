import { beforeEach, describe, expect, test, vi } from 'vitest';
import { nobleProvider } from '../../src/crypto/noble.ts';
import { CookieGenerator } from '../../src/noise/cookie.ts';
import type { Endpoint } from '../../src/wire/endpoint.ts';
import { INITIATION } from '../../src/wire/initiation.ts';
import { MESSAGE_TYPE, writeU32 } from '../../src/wire/message-type.ts';
import { Tap } from '../lab/inspect.ts';
import { Ledger } from '../lab/ledger.ts';
import { seededBytes } from '../lab/random.ts';
import { connect, type SimulatedNode, Simulation } from '../lab/simulation.ts';

/** Simulations compute; on a busy machine that takes its time. */
vi.setConfig({ testTimeout: 90_000 });

const FLOOD = 100_000;
const random = seededBytes(1);

let simulation: Simulation;
let target: SimulatedNode;
let friend: SimulatedNode;
let ledger: Ledger;
let tap: Tap;

beforeEach(() => {
  simulation = new Simulation(1);
  target = simulation.addNode();
  friend = simulation.addNode();
  connect(target, friend, { presharedKey: new Uint8Array(32).fill(1) });
  ledger = new Ledger(simulation);
  tap = new Tap(simulation);
});

/** Initiations that pass mac1, as anybody can make who knows the target's public key. */
function validLooking(count: number): Uint8Array[] {
  const macs = new CookieGenerator(nobleProvider, target.publicKey);
  return Array.from({ length: count }, () => {
    const message = random(INITIATION.length);
    writeU32(message, INITIATION.type, MESSAGE_TYPE.initiation);
    message.fill(0, INITIATION.mac1);
    macs.addMacs(message, 0);
    return message;
  });
}

const source = (i: number): Endpoint => ({
  family: 4,
  address: Uint8Array.of(203, 0, (i >> 8) & 0xff, i & 0xff),
  port: 1024 + (i % 60_000),
  scope: 0,
});

/** `perMillisecond` datagrams arrive before the target gets round to acting on them. */
function flood(messages: readonly Uint8Array[], perMillisecond: number): void {
  for (let i = 0; i < messages.length; i++) {
    target.receive(messages[i]!, source(i));
    if (i % perMillisecond === perMillisecond - 1) {
      target.wake();
      simulation.runFor(1);
    }
  }
}

describe('100,000 initiations with a valid mac1 and no mac2 in a second', () => {
  test('cost bounded memory; only cookie replies leave; a real peer still gets in', () => {
    const messages = validLooking(1000);
    const all = Array.from({ length: FLOOD }, (_, i) => messages[i % messages.length]!);
    const device = target.core.device as unknown as {
      queue: { length: number; waiting: unknown[] };
      sessions: { indexes: { size: number } };
      handshakes: { rateLimiter: { size: number }; unknownInitiators: Map<string, number> };
    };
    let longest = 0;
    let kept = 0;
    // The peer begins in the middle of it.
    simulation.after(500, () => ledger.send(friend, target));
    for (let at = 0; at < FLOOD; at += 100) {
      flood(all.slice(at, at + 100), 100);
      longest = Math.max(longest, device.queue.length);
      kept = Math.max(kept, device.queue.waiting.length);
    }
    expect(simulation.now - 1000).toBeGreaterThanOrEqual(1000);
    expect(longest).toBeLessThanOrEqual(1024);
    expect(kept).toBeLessThanOrEqual(2048);
    expect(device.sessions.indexes.size).toBeLessThanOrEqual(1);
    expect(device.handshakes.unknownInitiators.size).toBe(0);
    expect(device.handshakes.rateLimiter.size).toBeLessThanOrEqual(1);

    const drops = target.drops;
    const looked = drops.staticUndecryptable ?? 0;
    expect(looked).toBeLessThan(200); // before the load was noticed
    const counted = Object.values(drops).reduce((sum, count) => sum + count, 0);
    expect(counted + device.queue.length).toBeGreaterThanOrEqual(FLOOD);
    const fromTarget = tap.seen.filter((seen) => seen.from === target);
    const replies = fromTarget.filter((seen) => seen.kind === 'cookie reply').length;
    expect(replies).toBe(drops.underLoadCookieSent);
    expect(fromTarget.length - replies).toBeLessThanOrEqual(1); // the answer to the real peer

    // The flood goes on while the peer tries again, now with the cookie it was given.
    for (let ms = 0; ms < 6000; ms++) {
      flood(all.slice(0, 10), 10);
      simulation.runFor(0);
    }
    expect(target.drops.underLoadCookieSent).toBeGreaterThan(drops.underLoadCookieSent!);
    expect(ledger.missing).toBe(0);
    expect(tap.of('initiation', friend).length).toBe(2);
  });

  test('are noticed by their rate where every datagram is acted on as it is read (userspace mode)', () => {
    const messages = validLooking(1000);
    simulation.after(500, () => ledger.send(friend, target));
    for (let i = 0; i < FLOOD / 5; i++) {
      target.receive(messages[i % messages.length]!, source(i));
      if (i % 20 === 19) simulation.runFor(1);
    }
    expect(target.drops.staticUndecryptable).toBeLessThan(200);
    const left = tap.seen.filter((seen) => seen.from === target && seen.kind !== 'cookie reply');
    expect(left.length).toBe(0);
    for (let ms = 0; ms < 6000; ms++) {
      for (let i = 0; i < 5; i++) target.receive(messages[i]!, source(i));
      simulation.runFor(1);
    }
    expect(ledger.missing).toBe(0);
  });
});

test('under load a peer whose address changes its port needs a new cookie', () => {
  const messages = validLooking(200);
  const load = () => flood(messages, messages.length);
  load();
  ledger.send(friend, target);
  simulation.runFor(500);
  expect(tap.of('cookie reply').length).toBeGreaterThan(0);
  friend.endpoint = { ...friend.endpoint, port: 9999 };
  const before = target.drops.underLoadCookieSent!;
  simulation.runFor(4000);
  load();
  const cookiesForFlood = target.drops.underLoadCookieSent! - before;
  simulation.runFor(900); // its second initiation has a mac2, but from another port
  expect(target.drops.underLoadCookieSent! - before).toBe(cookiesForFlood + 1);
  expect(ledger.missing).toBe(1);
  simulation.runFor(10_000);
  expect(ledger.missing).toBe(0);
});

test('sources that proved their address are limited to 20 handshakes a second', () => {
  const messages = validLooking(200);
  flood(messages, messages.length);
  ledger.send(friend, target);
  simulation.runFor(100);
  // A peer that does not wait REKEY_TIMEOUT between its initiations.
  const { peers } = friend.core.device as unknown as {
    peers: { all(): Iterable<{ initiationSentAt: number }> };
  };
  let now = 0;
  for (let i = 0; i < 100; i++) {
    flood(messages.slice(0, 150), 150);
    for (const peer of peers.all()) peer.initiationSentAt = Number.NEGATIVE_INFINITY;
    friend.core.device.handshakeWanted(0, friend.clock);
    friend.wake();
    simulation.runFor(9);
    now += 10;
  }
  expect(now).toBe(1000);
  expect(target.drops.rateLimited).toBeGreaterThan(60);
});
