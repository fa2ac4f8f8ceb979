import { createSocket, type Socket } from 'node:dgram';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ownIdentity } from '../../src/agent/accepted-config.ts';
import { Counters } from '../../src/agent/counters.ts';
import type { AgentEvent } from '../../src/agent/events.ts';
import { HeaderChain } from '../../src/agent/header-chain.ts';
import { HeaderCompare } from '../../src/agent/header-compare.ts';
import { systemDatagrams, userspaceDatagrams } from '../../src/agent/tunnel-datagrams.ts';
import { toBase64 } from '../../src/contract/encoding.ts';
import { type Envelope, PAYLOAD_TYPES, signEnvelope } from '../../src/contract/envelope.ts';
import { controllerFingerprint } from '../../src/contract/ids.ts';
import { defaultProvider } from '../../src/crypto/select.ts';
import { createTunnel, peerChange } from '../../src/tunnel/create-tunnel.ts';
import { SimClock } from '../lab/agent-clock.ts';
import { memoryState } from '../lab/memory-state.ts';
import { keysFrom } from './support/fake-controller.ts';

const crypto = defaultProvider();
const seed = new Uint8Array(32).fill(1);
const controllerKey = crypto.ed25519Public(seed);
const meshId = controllerFingerprint(crypto, controllerKey);
const [HERE, THERE, STRANGER] = ['127.0.0.2', '127.0.0.3', '127.0.0.4'];

function header(version: number, issued_at: number): Envelope {
  return signEnvelope(crypto, seed, PAYLOAD_TYPES.header, {
    mesh_id: toBase64(meshId),
    audience: 'members',
    epoch: version,
    version,
    previous: null,
    issued_at,
    epoch_s: 60,
    lifetime_s: 180,
    grace_s: 20,
    count: 2,
    members_root: toBase64(meshId),
    keys: 'group',
    changes: { removed: [], added: [], changed: [] },
  });
}

let stop: AbortController;
let port: number;
const running: Promise<void>[] = [];
beforeEach(async () => {
  stop = new AbortController();
  const probe = createSocket('udp4');
  await new Promise<void>((resolve) => probe.bind({ address: HERE, port: 0 }, resolve));
  port = probe.address().port;
  await new Promise<void>((resolve) => probe.close(resolve));
});
afterEach(async () => {
  stop.abort();
  await Promise.all(running.splice(0));
});

/** A member at `address`, which holds `held`; it knows those at `others`. */
async function member(
  address: string,
  others: string | readonly string[],
  held: Envelope,
  open = systemDatagrams(address),
) {
  const events: AgentEvent[] = [];
  const counters = new Counters();
  const enrolment = {
    mesh_id: toBase64(meshId),
    node_id: 'node-a',
    controller_key: toBase64(controllerKey),
    tunnel_prefix: '127.0.0.0/24',
    epoch_s: 60,
  };
  const headers = new HeaderChain({
    crypto,
    identity: ownIdentity(crypto, enrolment, keysFrom(1)),
    state: memoryState(),
    counters,
    emit: (event) => void events.push(event),
    fetch: async () => undefined,
    isInForce: () => true,
    fault: async () => undefined,
    onTaken: async () => {},
  });
  expect(await headers.take(held)).toBe('taken');
  const clock = new SimClock();
  const random = () => 0;
  const compare = new HeaderCompare({
    headers,
    members: () => [others].flat(),
    clock,
    random,
    counters,
    port,
  });
  running.push(compare.run(open, stop.signal));
  return { compare, counters, events };
}

const until = (check: () => boolean) => expect.poll(check).toBe(true);

/** What comes to a socket at `address`. */
async function listenAt(address: string): Promise<{ socket: Socket; heard: Uint8Array[] }> {
  const heard: Uint8Array[] = [];
  const socket = createSocket('udp4');
  socket.on('message', (message) => heard.push(message));
  await new Promise<void>((resolve) => socket.bind({ address, port }, resolve));
  stop.signal.addEventListener('abort', () => socket.close());
  return { socket, heard };
}

test('two that were told different headers for one version find out, each with both as evidence', async () => {
  const [one, other] = [header(7, 1), header(7, 2)];
  const here = await member(HERE, THERE, one);
  const there = await member(THERE, HERE, other);
  await until(() => {
    here.compare.tell();
    there.compare.tell();
    return [here, there].every(({ events }) => events.length > 0);
  });
  expect(here.events).toEqual([{ event: 'split_view', epoch: 7, version: 7, held: one, other }]);
  expect(there.events).toEqual([
    { event: 'split_view', epoch: 7, version: 7, held: other, other: one },
  ]);
});

test('inside two tunnels without interfaces they find out as well', async () => {
  const tunnels = await Promise.all(
    [1, 2].map((i) =>
      createTunnel({
        mode: 'userspace',
        privateKey: new Uint8Array(32).fill(i),
        addresses: [`10.0.0.${i}/24`],
      }),
    ),
  );
  for (const [i, tunnel] of tunnels.entries()) {
    const there = tunnels[1 - i]!;
    const peer = {
      publicKey: there.publicKey,
      endpoint: `127.0.0.1:${there.listenPort}`,
      allowedIps: [`10.0.0.${2 - i}/32`],
    };
    await tunnel.configure({ peers: [peerChange(peer)] });
  }
  const [one, other] = [header(7, 1), header(7, 2)];
  const [here, there] = [
    await member('10.0.0.1', '10.0.0.2', one, userspaceDatagrams(tunnels[0]!)),
    await member('10.0.0.2', '10.0.0.1', other, userspaceDatagrams(tunnels[1]!)),
  ];
  await until(() => {
    here.compare.tell();
    there.compare.tell();
    return [here, there].every(({ events }) => events.length > 0);
  });
  expect(here.events).toEqual([{ event: 'split_view', epoch: 7, version: 7, held: one, other }]);
  expect(there.events).toEqual([
    { event: 'split_view', epoch: 7, version: 7, held: other, other: one },
  ]);
  await Promise.all(tunnels.map((tunnel) => tunnel.close()));
});

test.each([
  [5, 5],
  [100, 8],
  [1000, 2],
])('of %i members %i others are told at a time', async (count, most) => {
  const others = Array.from({ length: count }, (_, i) => `10.10.${i >> 8}.${i & 0xff}`);
  const told: string[] = [];
  const open = async () => ({
    broken: new Promise<never>(() => {}),
    send: (_message: Uint8Array, to: string) => void told.push(to),
    close: () => {},
  });
  await member(HERE, others, header(7, 1), open);
  await until(() => told.length > 0);
  expect(new Set(told).size).toBe(most);
});

test('two that were told the same, or of which one is behind, have nothing to say', async () => {
  const here = await member(HERE, THERE, header(7, 1));
  const there = await member(THERE, HERE, header(7, 1));
  await until(() => {
    here.compare.tell();
    return there.counters.get('headers_compared') > 0;
  });
  expect(there.counters.get('headers_differ')).toBe(0);
  expect([...here.events, ...there.events]).toEqual([]);
});

test('what others send is dropped; a forged header is no evidence; nobody gets more than one a second', async () => {
  const here = await member(HERE, THERE, header(7, 1));
  const stranger = await listenAt(STRANGER);
  const peer = await listenAt(THERE);
  await until(() => {
    here.compare.tell();
    return peer.heard.length > 0;
  });
  const hello = Buffer.from(peer.heard[0]!);
  hello[hello.length - 1]! ^= 1; // another hash for the same version
  stranger.socket.send(hello, port, HERE);
  stranger.socket.send('anything', port, HERE);
  await until(() => here.counters.get('headers_compared_dropped') === 2);
  expect(stranger.heard).toEqual([]);
  for (let i = 0; i < 20; i++) peer.socket.send(hello, port, HERE);
  await until(() => here.counters.get('headers_differ') === 20);
  const shown = () => peer.heard.filter((message) => message.length > hello.length);
  await until(() => shown().length > 0);
  expect(shown()).toHaveLength(1);
  const forged = Buffer.from(shown()[0]!);
  forged[10]! ^= 1; // in the signature
  peer.socket.send(forged, port, HERE);
  peer.socket.send(Buffer.concat([hello.subarray(0, 5), Uint8Array.of(9)]), port, HERE);
  await until(() => here.counters.get('headers_compared_dropped') === 3);
  expect(here.events).toEqual([]);
});
