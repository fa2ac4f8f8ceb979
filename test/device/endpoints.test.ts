import { beforeEach, expect, test } from 'vitest';
import { TunnelError } from '../../src/device/tunnel-error.ts';
import { formatEndpoint, parseEndpoint, parsePrefix } from '../../src/wire/address-text.ts';
import type { Endpoint } from '../../src/wire/endpoint.ts';
import { connect, type SimulatedNode, Simulation } from '../lab/simulation.ts';

/** Where a device sends to, however it came to know of the place. */

let simulation: Simulation;
let a: SimulatedNode;
let b: SimulatedNode;
/** Endpoints that a sent to. */
let sentTo: string[];

const at = (text: string): Endpoint => parseEndpoint(text)!;
/** b's address in the tunnel, which is not a place to send datagrams to. */
const INSIDE = at('10.0.0.2:51820');

beforeEach(() => {
  simulation = new Simulation(3);
  [a, b] = [simulation.addNode(), simulation.addNode()];
  sentTo = [];
  a.onSent = (_, to) => sentTo.push(formatEndpoint(to));
});

/** b's datagrams reach a from `source` instead of b's own address, as if sent through the tunnel. */
function redirect(source: Endpoint, which: (datagram: Uint8Array) => boolean): void {
  simulation.filter = (datagram, from) => {
    if (from !== b || !which(datagram)) return true;
    const copy = new Uint8Array(datagram);
    simulation.after(1, () => a.receive(copy, source));
    return false;
  };
}

const isType = (type: number) => (datagram: Uint8Array) => datagram[0] === type;
const endpointOfB = (): string => formatEndpoint(a.peer(b)!.endpoint!);

function talk(): void {
  a.sendTo(b, Uint8Array.of(1));
  simulation.runFor(50);
  b.sendTo(a, Uint8Array.of(2));
  simulation.runFor(50);
}

test('a peer does not roam to an address that the device routes into the tunnel', () => {
  connect(a, b);
  talk();
  let delivered = 0;
  a.onPacket = () => delivered++;
  redirect(INSIDE, isType(4));
  b.sendTo(a, Uint8Array.of(3));
  simulation.runFor(50);
  expect(delivered).toBe(1);
  expect(endpointOfB()).toBe('192.0.2.2:51820');
  expect(a.drops.roamingRefused).toBe(1);
  sentTo = [];
  talk();
  expect(new Set(sentTo)).toEqual(new Set(['192.0.2.2:51820']));
});

test('a peer roams to any other place', () => {
  connect(a, b);
  talk();
  redirect(at('198.51.100.9:4444'), isType(4));
  b.sendTo(a, Uint8Array.of(3));
  simulation.runFor(50);
  expect(endpointOfB()).toBe('198.51.100.9:4444');
});

test('an initiation from inside the tunnel is not answered', () => {
  connect(a, b);
  redirect(INSIDE, isType(1));
  b.sendTo(a, Uint8Array.of(1));
  simulation.runFor(100);
  expect(sentTo).toEqual([]);
  expect(a.drops.endpointUnacceptable).toBe(1);
});

test('a response from inside the tunnel is taken, and the endpoint stays', () => {
  connect(a, b);
  redirect(INSIDE, isType(2));
  talk();
  expect(endpointOfB()).toBe('192.0.2.2:51820');
  expect(new Set(sentTo)).toEqual(new Set(['192.0.2.2:51820']));
});

test('nothing is sent to an endpoint that was configured inside the tunnel, before or after its route', () => {
  const { publicKey } = b;
  const allowedIps = [{ prefix: parsePrefix('10.0.0.0/24')! }];
  connect(a, b);
  talk();
  b.stop(); // what it sends would move the endpoint back to where it is
  sentTo = [];
  a.configure({ peers: [{ publicKey, endpoint: INSIDE }] });
  a.sendTo(b, Uint8Array.of(1));
  simulation.runFor(1000);
  expect(sentTo).toEqual([]);
  expect(a.drops.endpointInTunnel).toBe(1);

  a.configure({ peers: [{ publicKey, endpoint: at('10.0.0.77:1') }] });
  a.configure({ peers: [{ publicKey, allowedIps }] });
  simulation.runFor(600_000);
  a.sendTo(b, Uint8Array.of(1));
  simulation.runFor(100_000);
  expect(sentTo).toEqual([]);
  expect(a.drops.endpointUnacceptable).toBeGreaterThan(0);
});

test('with a default route into the tunnel, endpoints are where they were', () => {
  for (const route of ['0.0.0.0/0', '0.0.0.0/1', '128.0.0.0/1']) {
    const allowedIps = [{ prefix: b.prefix }, { prefix: parsePrefix(route)! }];
    a.configure({ peers: [b.asPeer({ allowedIps })] });
    b.configure({ peers: [a.asPeer()] });
    talk();
    redirect(at('198.51.100.9:4444'), isType(4));
    b.sendTo(a, Uint8Array.of(3));
    simulation.runFor(50);
    expect(endpointOfB(), route).toBe('198.51.100.9:4444');
    simulation.filter = () => true;
    a.configure({ replacePeers: true });
  }
});

test.each([
  '255.255.255.255:1',
  '224.0.0.1:1',
  '0.0.0.0:1',
  '[::]:1',
  '[ff02::1%1]:1',
  '[fe80::1]:1',
])('a configuration with the endpoint %s is refused as a whole', (text) => {
  const change = () => a.configure({ peers: [b.asPeer({ endpoint: at(text) })] });
  expect(change).toThrow(TunnelError);
  expect(change).toThrow(/^peers\[0\]\.endpoint: /);
  expect(a.peer(b)).toBeUndefined();
});

test('nothing is sent to the own socket or to a broadcast address of an own network', () => {
  const own = { address: Uint8Array.of(192, 0, 2, 1), length: 24 };
  const machine = simulation.addNode({ localAddresses: () => [own] });
  machine.core.portChanged({ port: 51820, fwmark: 0 });
  machine.onSent = (_, to) => sentTo.push(formatEndpoint(to));
  for (const endpoint of ['192.0.2.1:51820', '127.0.0.1:51820', '192.0.2.255:51820']) {
    machine.configure({ peers: [b.asPeer({ endpoint: at(endpoint) })] });
    machine.sendTo(b, Uint8Array.of(1));
    simulation.runFor(20_000);
  }
  expect(sentTo).toEqual([]);
  expect(machine.drops.endpointUnacceptable).toBeGreaterThan(2);
});
