import { beforeEach, expect, test } from 'vitest';
import { clampX25519 } from '../../src/crypto/x25519-keys.ts';
import { TunnelError } from '../../src/device/tunnel-error.ts';
import { Tap } from '../lab/inspect.ts';
import { Ledger } from '../lab/ledger.ts';
import { connect, type SimulatedNode, Simulation } from '../lab/simulation.ts';

/** The device's own key, and what passes as a key of a peer. */

let simulation: Simulation;
let a: SimulatedNode;
let b: SimulatedNode;
let ledger: Ledger;

beforeEach(() => {
  simulation = new Simulation(5);
  [a, b] = [simulation.addNode(), simulation.addNode()];
  ledger = new Ledger(simulation);
});

test('a private key is shown as it is used, and the same one in other bits ends no session', () => {
  const unclamped = a.privateKey.slice();
  unclamped[0] = 0xff;
  unclamped[31] = 0xff;
  const clamped = clampX25519(unclamped);
  expect([clamped[0], clamped[31]]).toEqual([0xf8, 0x7f]);
  a.configure({ privateKey: unclamped });
  expect(a.core.device.privateKey).toEqual(clamped);
  const { publicKey } = a.core.device;
  b.configure({ peers: [{ ...a.asPeer(), publicKey: publicKey! }] });
  a.configure({ peers: [b.asPeer()] });
  a.sendTo(b, Uint8Array.of(1));
  simulation.runFor(100);
  const tap = new Tap(simulation);
  for (const privateKey of [unclamped, clamped]) a.configure({ privateKey });
  a.sendTo(b, Uint8Array.of(2));
  simulation.runFor(100);
  expect(tap.of('initiation')).toEqual([]);
  expect(tap.of('data', a)).toHaveLength(1);
});

test('after a change of the private key the next handshake does not wait for the one before', () => {
  connect(a, b);
  ledger.send(a, b);
  simulation.runFor(100);
  const first = ledger.deliveredCount(a, b);
  // A key that b does not know: the initiation for it is answered by nobody.
  a.configure({ privateKey: new Uint8Array(32).fill(9) });
  ledger.send(a, b);
  simulation.runFor(1000);
  a.configure({ privateKey: a.privateKey });
  ledger.send(a, b);
  simulation.runFor(20);
  expect(ledger.deliveredCount(a, b)).toBeGreaterThan(first);
});

test('a public key with bit 255 set is refused: it is an alias of another one', () => {
  connect(a, b);
  const publicKey = b.publicKey.slice();
  publicKey[31]! |= 0x80;
  const add = () => a.configure({ peers: [{ publicKey }] });
  expect(add).toThrow(TunnelError);
  expect(add).toThrow('peers[0].publicKey: expected a key with bit 255 clear, as X25519 takes it');
});
