import { beforeEach, describe, expect, test } from 'vitest';
import type { DeviceChange, PeerChange } from '../../src/device/config.ts';
import type { KeptPresharedKey } from '../../src/device/preshared-key.ts';
import { TunnelError } from '../../src/device/tunnel-error.ts';
import { formatPrefix } from '../../src/wire/address-text.ts';
import type { Prefix } from '../../src/wire/prefix.ts';
import { slotsWithKeys, stateOf, Tap } from '../lab/inspect.ts';
import { Ledger } from '../lab/ledger.ts';
import { connect, innerPacket, type SimulatedNode, Simulation } from '../lab/simulation.ts';

const PSK = new Uint8Array(32).fill(7);
const OTHER_PSK = new Uint8Array(32).fill(8);
const NO_PSK = new Uint8Array(32);

let simulation: Simulation;
let a: SimulatedNode;
let b: SimulatedNode;
let c: SimulatedNode;
let ledger: Ledger;

beforeEach(() => {
  simulation = new Simulation(2);
  [a, b, c] = [simulation.addNode(), simulation.addNode(), simulation.addNode()];
  ledger = new Ledger(simulation);
});

/** Whether a packet each way gets through now. */
function reach(x: SimulatedNode, y: SimulatedNode): boolean {
  const before = ledger.deliveredCount(x, y) + ledger.deliveredCount(y, x);
  ledger.send(x, y);
  simulation.runFor(20);
  ledger.send(y, x);
  simulation.runFor(20);
  return ledger.deliveredCount(x, y) + ledger.deliveredCount(y, x) >= before + 2;
}

const change = (node: SimulatedNode, peer: SimulatedNode, fields: Partial<PeerChange>): void =>
  node.configure({ peers: [{ publicKey: peer.publicKey, ...fields }] });

const routes = (node: SimulatedNode, peer: SimulatedNode): string[] =>
  node.peer(peer)!.allowedIps.map(formatPrefix);

describe('peers', () => {
  test('are added, changed and removed while others go on', () => {
    connect(a, b);
    expect(reach(a, b)).toBe(true);
    expect(reach(a, c)).toBe(false);
    connect(a, c);
    expect(reach(a, c)).toBe(true);
    change(a, b, { remove: true });
    expect(a.peer(b)).toBeUndefined();
    expect(reach(a, b)).toBe(false);
    expect(reach(a, c)).toBe(true);
    simulation.runFor(200_000);
    connect(a, b);
    simulation.runFor(6000);
    expect(reach(a, b)).toBe(true);
  });

  test('that are removed leave no key in memory, at once', () => {
    connect(a, b, { presharedKey: PSK, generation: 1 });
    connect(a, c);
    reach(a, b);
    reach(a, c);
    const keysOfBoth = slotsWithKeys(a.core).length;
    change(a, b, { remove: true });
    expect(slotsWithKeys(a.core).length).toBeLessThan(keysOfBoth);
    change(a, c, { remove: true });
    expect(slotsWithKeys(a.core)).toEqual([]);
  });

  test('that are removed have their secrets wiped from control, too', () => {
    b.stop();
    connect(a, b, { presharedKey: PSK });
    ledger.send(a, b); // an initiation waits, a packet is staged
    const { device } = a.core as unknown as {
      device: {
        peers: { all(): Iterable<{ presharedKey: KeptPresharedKey; initiations: unknown[] }> };
      };
    };
    const [peer] = device.peers.all();
    change(a, b, { remove: true });
    expect(peer!.presharedKey.use()).toEqual(NO_PSK);
    expect(peer!.initiations).toEqual([]);
    expect(a.drops.stagedGivenUp).toBe(1);
  });

  test('that are removed cannot come back with what they sent before', () => {
    connect(a, b);
    const tap = new Tap(simulation);
    expect(reach(b, a)).toBe(true);
    simulation.runFor(10_000);
    const [initiation] = tap.of('initiation', b);
    change(a, b, { remove: true });
    a.receive(initiation!.datagram, b.endpoint);
    expect(a.drops.initiatorUnknown).toBe(1);
    a.configure({ peers: [b.asPeer()] });
    a.receive(initiation!.datagram, b.endpoint);
    expect(a.drops.timestampReplayed).toBe(1);
    expect(slotsWithKeys(a.core)).toEqual([]);
  });

  test('are all replaced with replacePeers', () => {
    connect(a, b);
    expect(reach(a, b)).toBe(true);
    a.configure({ replacePeers: true, peers: [c.asPeer()] });
    expect(a.peer(b)).toBeUndefined();
    expect(a.peer(c)).toBeDefined();
    expect(slotsWithKeys(a.core)).toEqual([]);
  });

  test('are not added by updateOnly', () => {
    change(a, b, { updateOnly: true, persistentKeepalive: 5 });
    expect(a.peer(b)).toBeUndefined();
    connect(a, b);
    change(a, b, { updateOnly: true, persistentKeepalive: 5 });
    expect(a.peer(b)!.persistentKeepalive).toBe(5);
  });

  test('keep the fields that a change does not name', () => {
    connect(a, b, { presharedKey: PSK, persistentKeepalive: 9 });
    const before = a.peer(b)!;
    change(a, b, { endpoint: { ...b.endpoint, port: 9 } });
    expect(a.peer(b)).toEqual({ ...before, endpoint: { ...b.endpoint, port: 9 } });
  });

  test('the device itself is never its own peer', () => {
    a.configure({ peers: [a.asPeer()] });
    expect(a.core.device.peerStatus()).toEqual([]);
    a.configure({ peers: [c.asPeer()] });
    a.configure({ privateKey: c.privateKey });
    expect(a.core.device.peerStatus()).toEqual([]);
  });

  test('with a small-order public key can be configured, and nothing comes of it', () => {
    a.configure({
      peers: [
        {
          publicKey: new Uint8Array(32),
          endpoint: b.endpoint,
          allowedIps: [{ prefix: b.prefix }],
          persistentKeepalive: 1,
        },
      ],
    });
    const tap = new Tap(simulation);
    simulation.runFor(20_000);
    expect(tap.seen).toHaveLength(0);
  });
});

describe('pre-shared keys', () => {
  test('changed at run time hold from the next handshake on, without ending the session', () => {
    connect(a, b);
    expect(reach(a, b)).toBe(true);
    change(a, b, { presharedKey: PSK });
    change(b, a, { presharedKey: PSK });
    expect(reach(a, b)).toBe(true);
    simulation.runFor(125_000);
    expect(reach(a, b)).toBe(true); // renewed meanwhile
    expect(a.drops.responseUnauthenticated).toBeUndefined();
  });

  test('that differ make no session', () => {
    connect(a, b, { presharedKey: PSK });
    change(b, a, { presharedKey: OTHER_PSK });
    expect(reach(a, b)).toBe(false);
    expect(a.drops.responseUnauthenticated).toBeGreaterThan(0);
    change(b, a, { presharedKey: PSK });
    simulation.runFor(6000);
    expect(reach(a, b)).toBe(true);
  });

  test('are cleared by 32 zero bytes', () => {
    connect(a, b, { presharedKey: PSK });
    change(a, b, { presharedKey: NO_PSK });
    expect(a.peer(b)!.presharedKey).toBeUndefined();
    change(b, a, { presharedKey: NO_PSK });
    expect(reach(a, b)).toBe(true);
  });

  test('without a generation keep the one that the peer has', () => {
    connect(a, b, { presharedKey: PSK, generation: 5 });
    simulation.runFor(2000);
    for (const [x, y] of [
      [a, b],
      [b, a],
    ] as const) {
      change(x, y, { presharedKey: OTHER_PSK });
    }
    simulation.runFor(130_000);
    expect(reach(a, b)).toBe(true);
    expect(a.peer(b)!.generation).toBe(5);
  });
});

describe('require_psk', () => {
  beforeEach(() => {
    a = simulation.addNode({ requirePsk: true });
    ledger = new Ledger(simulation);
  });

  const refusal = (configure: () => void): unknown => {
    try {
      configure();
    } catch (error) {
      return error instanceof TunnelError ? error.code : error;
    }
    return undefined;
  };

  test('refuses a peer without a PSK or with one of zeros, and names no secret', () => {
    expect(refusal(() => a.configure({ peers: [b.asPeer()] }))).toBe('psk_required');
    expect(refusal(() => a.configure({ peers: [b.asPeer({ presharedKey: NO_PSK })] }))).toBe(
      'psk_required',
    );
    expect(a.core.device.peerStatus()).toEqual([]);
    a.configure({ peers: [b.asPeer({ presharedKey: PSK })] });
    expect(refusal(() => change(a, b, { presharedKey: NO_PSK }))).toBe('psk_required');
    change(a, b, { persistentKeepalive: 3 }); // it has one already
    change(a, b, { remove: true });
    expect(a.core.device.peerStatus()).toEqual([]);
  });

  test('lets peers with the same PSK talk, and no others', () => {
    a.configure({ peers: [b.asPeer({ presharedKey: PSK })] });
    b.configure({ peers: [a.asPeer()] });
    expect(reach(b, a)).toBe(false);
    change(b, a, { presharedKey: PSK });
    simulation.runFor(6000);
    expect(reach(b, a)).toBe(true);
  });
});

describe('the private key', () => {
  test('set again is no change', () => {
    connect(a, b);
    expect(reach(a, b)).toBe(true);
    const before = stateOf(a.core);
    a.configure({ privateKey: a.privateKey });
    expect(stateOf(a.core)).toBe(before);
  });

  test('changed ends every session; peers that know the new one get in', () => {
    connect(a, b);
    expect(reach(a, b)).toBe(true);
    const key = new Uint8Array(32).fill(0x55);
    a.configure({ privateKey: key });
    expect(slotsWithKeys(a.core)).toEqual([]);
    expect(reach(a, b)).toBe(false);
    const { publicKey } = a.core.device;
    b.configure({ replacePeers: true, peers: [{ ...a.asPeer(), publicKey: publicKey! }] });
    simulation.runFor(6000);
    expect(reach(b, a)).toBe(true);
  });

  test('of zeros removes the identity: nothing is sent or answered', () => {
    connect(a, b);
    a.configure({ privateKey: new Uint8Array(32) });
    expect(a.core.device.publicKey).toBeUndefined();
    const tap = new Tap(simulation);
    ledger.send(a, b);
    ledger.send(b, a);
    simulation.runFor(1000);
    expect(tap.seen.filter((seen) => seen.from === a)).toHaveLength(0);
    expect(a.drops.handshakeNoIdentity).toBe(1);
  });

  test('changed on governed devices gives new sessions without waiting for data', () => {
    connect(a, b, { presharedKey: PSK, generation: 3 });
    simulation.runFor(2000);
    const key = new Uint8Array(32).fill(0x56);
    a.configure({ privateKey: key });
    const { publicKey } = a.core.device;
    const peer = a.asPeer({ presharedKey: PSK, generation: 3 });
    b.configure({ replacePeers: true, peers: [{ ...peer, publicKey: publicKey! }] });
    simulation.runFor(3000);
    expect(a.peer(b)!.generation).toBe(3);
  });
});

describe('allowed-ips', () => {
  const prefix = (text: number[], length: number): Prefix => ({
    address: Uint8Array.from(text),
    length,
  });
  const shared = prefix([10, 9, 0, 0], 16);

  const to = (destination: number[]): Uint8Array =>
    innerPacket(a.prefix.address, Uint8Array.from(destination), new Uint8Array(8));

  const received = (node: SimulatedNode): number[] => {
    const lengths: number[] = [];
    node.onPacket = (packet) => lengths.push(packet.length);
    return lengths;
  };

  test('a prefix belongs to one peer: routed to another one it moves, in both directions', () => {
    connect(a, b);
    connect(a, c);
    const atB = received(b);
    const atC = received(c);
    change(a, b, { allowedIps: [{ prefix: shared }] });
    a.sendPacket(to([10, 9, 1, 1]));
    simulation.runFor(20);
    expect([atB.length, atC.length]).toEqual([1, 0]);
    change(a, c, { allowedIps: [{ prefix: shared }] });
    expect(routes(a, b)).toEqual(['10.0.0.2/32']);
    expect(routes(a, c)).toEqual(['10.0.0.3/32', '10.9.0.0/16']);
    a.sendPacket(to([10, 9, 1, 1]));
    simulation.runFor(20);
    expect([atB.length, atC.length]).toEqual([1, 1]);

    const atA = received(a);
    const fromShared = innerPacket(Uint8Array.of(10, 9, 1, 1), a.prefix.address, NO_PSK);
    b.sendPacket(fromShared);
    simulation.runFor(20);
    expect(atA).toHaveLength(0);
    expect(a.drops.innerSourceNotAllowed).toBe(1);
    c.sendPacket(fromShared);
    simulation.runFor(20);
    expect(atA).toHaveLength(1);
  });

  test('the longest prefix wins, host bits do not matter, removal gives way to the shorter one', () => {
    connect(a, b);
    connect(a, c);
    const atB = received(b);
    const atC = received(c);
    change(a, b, { allowedIps: [{ prefix: shared }] });
    change(a, c, { allowedIps: [{ prefix: prefix([10, 9, 7, 99], 24) }] });
    expect(routes(a, c)).toContain('10.9.7.0/24');
    a.sendPacket(to([10, 9, 7, 1]));
    simulation.runFor(20);
    expect([atB.length, atC.length]).toEqual([0, 1]);
    change(a, c, { allowedIps: [{ prefix: prefix([10, 9, 7, 0], 24), remove: true }] });
    a.sendPacket(to([10, 9, 7, 1]));
    simulation.runFor(20);
    expect([atB.length, atC.length]).toEqual([1, 1]);
  });

  test('removing a prefix that belongs to another peer does nothing', () => {
    connect(a, b);
    connect(a, c);
    change(a, c, { allowedIps: [{ prefix: b.prefix, remove: true }] });
    expect(routes(a, b)).toEqual(['10.0.0.2/32']);
    expect(reach(a, b)).toBe(true);
  });

  test('replaceAllowedIps leaves exactly the ones named with it', () => {
    connect(a, b, { allowedIps: [{ prefix: shared }, { prefix: b.prefix }] });
    change(a, b, { replaceAllowedIps: true, allowedIps: [{ prefix: prefix([10, 8, 0, 0], 16) }] });
    expect(routes(a, b)).toEqual(['10.8.0.0/16']);
    change(a, b, { replaceAllowedIps: true });
    expect(routes(a, b)).toEqual([]);
    ledger.send(a, b);
    expect(a.drops.noPeerForDestination).toBe(1);
  });

  test('of a removed peer can be given to another one', () => {
    connect(a, b);
    change(a, b, { remove: true });
    a.configure({ peers: [c.asPeer({ allowedIps: [{ prefix: b.prefix }] })] });
    expect(routes(a, c)).toEqual(['10.0.0.2/32']);
  });
});

describe('roaming', () => {
  test('the endpoint follows the last authenticated packet, and only that', () => {
    connect(a, b);
    expect(reach(a, b)).toBe(true);
    const tap = new Tap(simulation);
    ledger.send(b, a);
    const { datagram } = tap.of('data', b)[0]!;
    const elsewhere = { ...b.endpoint, address: Uint8Array.of(198, 51, 100, 7), port: 4444 };
    const forged = datagram.slice();
    forged[40]! ^= 1;
    a.receive(forged, elsewhere);
    expect(a.peer(b)!.endpoint).toEqual(b.endpoint);
    b.endpoint = elsewhere;
    ledger.send(b, a);
    simulation.runFor(20);
    expect(a.peer(b)!.endpoint).toEqual(elsewhere);
    a.receive(datagram, { ...elsewhere, port: 1 }); // replayed from yet another place
    expect(a.peer(b)!.endpoint).toEqual(elsewhere);
    expect(reach(a, b)).toBe(true);
  });

  test('a handshake moves it, too', () => {
    connect(a, b);
    simulation.filter = (datagram) => datagram[0] !== 4; // handshakes only
    b.endpoint = { ...b.endpoint, port: 5555 };
    ledger.send(b, a);
    simulation.runFor(20);
    expect(a.peer(b)!.endpoint!.port).toBe(5555);
    // The response, too: a answers from somewhere else than where it was asked.
    a.endpoint = { ...a.endpoint, port: 6666 };
    const { endpoint } = b.peer(a)!;
    expect(endpoint!.port).toBe(51820);
    const tap = new Tap(simulation);
    simulation.filter = () => false;
    simulation.runFor(10_000);
    ledger.send(b, a);
    b.core.device.handshakeWanted(0, b.clock);
    b.wake();
    a.receive(tap.of('initiation', b).at(-1)!.datagram, b.endpoint);
    b.receive(tap.of('response', a).at(-1)!.datagram, a.endpoint);
    expect(b.peer(a)!.endpoint!.port).toBe(6666);
  });

  test('a peer without an endpoint is reached once it has been heard from', () => {
    const { endpoint: _, ...withoutEndpoint } = b.asPeer();
    a.configure({ peers: [withoutEndpoint] });
    b.configure({ peers: [a.asPeer()] });
    const tap = new Tap(simulation);
    ledger.send(a, b);
    simulation.runFor(1000);
    expect(tap.seen).toHaveLength(0);
    ledger.send(b, a);
    simulation.runFor(20);
    expect(ledger.missing).toBe(0); // the staged one has left, too
  });
});

describe('packets that wait for a session', () => {
  test('are at most 128 per peer: the oldest are dropped and counted', () => {
    connect(a, b);
    b.stop();
    for (let i = 0; i < 200; i++) ledger.send(a, b);
    expect(a.drops.stagedOverflow).toBe(72);
    b.restart();
    connect(a, b);
    simulation.runFor(6000);
    expect(ledger.missingOf(a, b)).toEqual(Array.from({ length: 72 }, (_, i) => i));
  });

  test('leave in the order in which they came', () => {
    connect(a, b);
    const order: number[] = [];
    ledger.onDelivered = (_from, _to, number) => order.push(number);
    for (let i = 0; i < 100; i++) ledger.send(a, b);
    simulation.runFor(100);
    expect(order).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });
});

test('counters tell bytes of UDP payload both ways, handshakes included', () => {
  connect(a, b);
  const tap = new Tap(simulation);
  for (let i = 0; i < 5; i++) reach(a, b);
  const total = (from: SimulatedNode) =>
    tap.seen.filter((s) => s.from === from).reduce((sum, s) => sum + s.datagram.length, 0);
  expect(a.peer(b)).toMatchObject({ txBytes: total(a), rxBytes: total(b) });
  expect(b.peer(a)).toMatchObject({ txBytes: total(b), rxBytes: total(a) });
  expect(a.peer(b)!.lastHandshakeAt).toBeGreaterThan(1_700_000_000_000);
});

describe('an invalid change is refused as a whole, naming the field', () => {
  const key = new Uint8Array(32).fill(9);
  const address = Uint8Array.of(10, 0, 0, 9);
  const peer = (fields: Partial<PeerChange>): DeviceChange => ({
    privateKey: key, // valid, and must not be applied
    peers: [{ publicKey: key }, { publicKey: key, ...fields }],
  });
  const endpoint = { family: 4, address, port: 1, scope: 0 } as const;

  test.each<[string, DeviceChange]>([
    ['privateKey', { privateKey: new Uint8Array(31) }],
    ['listenPort', { listenPort: 65_536 }],
    ['listenPort', { listenPort: 1.5 }],
    ['fwmark', { fwmark: -1 }],
    ['fwmark', { fwmark: 2 ** 32 }],
    ['peers[1].publicKey', peer({ publicKey: new Uint8Array(33) })],
    ['peers[1].presharedKey', peer({ presharedKey: new Uint8Array(16) })],
    ['peers[1].persistentKeepalive', peer({ persistentKeepalive: 65_536 })],
    ['peers[1].generation', peer({ presharedKey: PSK, generation: -1 })],
    ['peers[1].generation', peer({ presharedKey: PSK, generation: 2 ** 53 })],
    ['peers[1].generation', peer({ generation: 4 })],
    ['peers[1].expireBefore', peer({ expireBefore: Number.NaN })],
    ['peers[1].endpoint.address', peer({ endpoint: { ...endpoint, address: key } })],
    ['peers[1].endpoint.family', peer({ endpoint: { ...endpoint, family: 6 } })],
    ['peers[1].endpoint.port', peer({ endpoint: { ...endpoint, port: 65_536 } })],
    ['peers[1].allowedIps[0].length', peer({ allowedIps: [{ prefix: { address, length: 33 } }] })],
    [
      'peers[1].allowedIps[1].address',
      peer({
        allowedIps: [
          { prefix: { address, length: 32 } },
          { prefix: { address: new Uint8Array(5), length: 1 } },
        ],
      }),
    ],
  ])('%s', (field, change) => {
    connect(a, b);
    const before = stateOf(a.core);
    expect(() => a.configure(change)).toThrow(`${field}: expected`);
    expect(stateOf(a.core)).toBe(before);
  });

  test('an older generation than the one in use', () => {
    connect(a, b, { presharedKey: PSK, generation: 7 });
    const before = stateOf(a.core);
    expect(() => change(a, b, { presharedKey: OTHER_PSK, generation: 6 })).toThrow('at least 7');
    expect(stateOf(a.core)).toBe(before);
  });

  test('more peers than there is room for', () => {
    const small = simulation.addNode({ maxPeers: 2 });
    small.configure({ peers: [a.asPeer()] });
    expect(() => small.configure({ peers: [b.asPeer(), c.asPeer()] })).toThrow(
      'room for 1: this device takes 2 (maxPeers, MESH_MAX_PEERS)',
    );
    expect(small.core.device.peerStatus()).toHaveLength(1);
    small.configure({ peers: [b.asPeer()] });
    change(small, a, { remove: true });
    small.configure({ peers: [c.asPeer()] });
    expect(small.core.device.peerStatus()).toHaveLength(2);
  });
});

describe('while the interface is down', () => {
  test('nothing is sent or answered and all sessions end; up again, it works again', () => {
    connect(a, b, { presharedKey: PSK, generation: 2, persistentKeepalive: 1 });
    expect(reach(a, b)).toBe(true);
    a.core.device.setUp(false, a.clock);
    a.wake();
    expect(slotsWithKeys(a.core)).toEqual([]);
    const tap = new Tap(simulation);
    ledger.send(a, b);
    simulation.runFor(30_000);
    expect(tap.seen.filter(({ from }) => from === a)).toHaveLength(0);
    expect(a.drops.handshakeWhileDown).toBeGreaterThan(0);
    a.core.device.setUp(true, a.clock);
    a.wake();
    simulation.runFor(3000);
    expect(reach(a, b)).toBe(true);
  });
});
