import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../../src/agent/clock.ts';
import { CallError } from '../../src/agent/controller-answer.ts';
import { ControllerClient } from '../../src/agent/controller-client.ts';
import { enrol } from '../../src/agent/enrol.ts';
import { type NodeKeys, readNodeKeys } from '../../src/agent/node-keys.ts';
import { defaultProvider } from '../../src/crypto/select.ts';
import { listen, partOptions, say } from './part.ts';

/** What a denied node does outside of its tunnel, with all keys that it has. */
export interface AttackerPart {
  readonly controllerUrl: string;
  /** State directory of the denied node. */
  readonly state: string;
  readonly name: string;
  /** Another node. */
  readonly other: string;
  readonly targets: readonly { readonly address: string; readonly port: number }[];
}

const options = partOptions<AttackerPart>();
const crypto = defaultProvider();
const random = (length: number) => new Uint8Array(randomBytes(length));
const { signal } = new AbortController();

const client = new ControllerClient({
  fetch,
  clock: systemClock,
  crypto,
  random,
  url: options.controllerUrl,
  timeoutMs: 5000,
});

async function opened(): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.bind(0);
  await once(socket, 'listening');
  return socket;
}

/** How many datagrams came back, by WireGuard message type, to sockets that were never known. */
const answers: Record<number, number> = {};

async function sendAll(datagrams: Iterable<Uint8Array>): Promise<number> {
  // Several sockets: an endpoint that changes all the time.
  const sockets = await Promise.all([opened(), opened(), opened()]);
  for (const socket of sockets) {
    socket.on('message', (message) => {
      answers[message[0]!] = (answers[message[0]!] ?? 0) + 1;
    });
  }
  let sent = 0;
  for (const datagram of datagrams) {
    for (const { address, port } of options.targets) {
      sockets[sent % sockets.length]!.send(datagram, port, address, () => {});
      if (++sent % 64 === 0) await delay(2);
    }
  }
  await delay(1000);
  for (const socket of sockets) socket.close();
  return sent;
}

function* garbage(count: number): Iterable<Uint8Array> {
  const lengths = [148, 92, 64, 32, 1452];
  for (let i = 0; i < count; i++) {
    const datagram = random(lengths[i % lengths.length]!);
    datagram.set([1 + (i % 4), 0, 0, 0]);
    yield datagram;
  }
}

/** The code that a call was refused with, or what it got. */
async function outcome(call: () => Promise<unknown>): Promise<string> {
  try {
    return `accepted: ${JSON.stringify(await call()).slice(0, 200)}`;
  } catch (error) {
    if (error instanceof CallError) return error.code;
    return (error as { code?: string }).code ?? String(error);
  }
}

async function calls(tokens: Readonly<Record<string, string>>): Promise<Record<string, unknown>> {
  const keys = readNodeKeys(options.state);
  const { name, other } = options;
  const join = (nodeId: string, token: string, as: NodeKeys) => () =>
    enrol(
      {
        client,
        crypto,
        clock: systemClock,
        random: Math.random,
        keys: as,
        nodeId,
        token,
        endpoint: null,
        listenPort: 1,
        waiting: () => {},
      },
      signal,
    );
  const fresh = (): NodeKeys => ({
    wireguard: random(32),
    signing: random(32),
    sealing: random(32),
  });
  const config = (nodeId: string) => client.getConfig(nodeId, keys.signing, undefined, signal);
  const keysOf = (nodeId: string) => client.getKeys(nodeId, keys.signing, undefined, signal);
  return {
    own_config: await outcome(() => config(name)),
    own_keys: await outcome(() => keysOf(name)),
    config_of_another: await outcome(() => config(other)),
    keys_of_another: await outcome(() => keysOf(other)),
    lease_of_another: await outcome(() => client.getLease(other, keys.signing, signal)),
    stream_of_another: await outcome(() => client.openStream(other, keys.signing, signal)),
    enrol_with_used_token: await outcome(join(name, tokens.used!, fresh())),
    enrol_again_with_new_keys: await outcome(join(name, tokens.own!, fresh())),
    enrol_under_another_name: await outcome(join('node-x', tokens.any!, keys)),
    enrol_as_a_member: await outcome(join(other, tokens.any!, fresh())),
  };
}

say({ ready: true });
listen(
  ({ id, command, datagrams, tokens, count }) => {
    const done = (result: object) => say({ id, ...result, answers: { ...answers } });
    const failed = (error: Error) => say({ id, error: error.message });
    switch (command) {
      case 'replay': {
        const list = (datagrams as string[]).map((text) => Buffer.from(text, 'base64'));
        sendAll(list).then((sent) => done({ sent }), failed);
        break;
      }
      case 'flood':
        sendAll(garbage(count as number)).then((sent) => done({ sent }), failed);
        break;
      case 'calls':
        calls(tokens as Record<string, string>).then((results) => done({ results }), failed);
        break;
    }
  },
  () => process.exit(0),
);
