import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:https';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { openBackend } from '../../src/agent/backend.ts';
import { systemClock } from '../../src/agent/clock.ts';
import { ControllerClient } from '../../src/agent/controller-client.ts';
import { controllerFetch } from '../../src/agent/controller-fetch.ts';
import { startNode } from '../../src/agent/node.ts';
import { controllerFingerprint } from '../../src/contract/ids.ts';
import { type Controller, openState, startController } from '../../src/controller/controller.ts';
import { issueToken } from '../../src/controller/operations/tokens.ts';
import { ownCertificate } from '../../src/controller/own-certificate.ts';
import { orRefuse } from '../../src/controller/problem-error.ts';
import { TunnelError } from '../../src/tunnel/create-tunnel.ts';
import { until } from '../lab/netns.ts';
import { crypto, temporaryDirectory } from './support/rig.ts';

const random = (length: number) => new Uint8Array(randomBytes(length));
let directory: ReturnType<typeof temporaryDirectory>;
let controller: Controller;
beforeEach(async () => {
  directory = temporaryDirectory();
  controller = await started();
});
afterEach(async () => {
  await controller.close();
  directory.remove();
});

const started = () =>
  startController({
    state: openState(join(directory.path, 'controller')),
    listen: { host: '127.0.0.1', port: 0 },
    settings: { epochS: 1 },
    tls: 'own',
    crypto,
    random,
  });

/** A server at an address of its own that counts what reaches it behind TLS. */
async function impostor(seed: Uint8Array) {
  let requests = 0;
  const server = createServer(ownCertificate(crypto, seed, [], Date.now()), (_, response) => {
    requests++;
    response.end('{}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as { port: number };
  return { url: `https://127.0.0.1:${port}/v1/epoch`, requests: () => requests };
}

test('a controller is known by the key that its mesh is named by, without any authority', async () => {
  expect(controller.url).toMatch(/^https:/);
  const answer = await controllerFetch(crypto)(`${controller.url}/healthz`, {}, controller.meshId);
  expect(answer.status).toBe(200);
  expect(answer.headers.get('content-type')).toContain('json');
  expect(await answer.json()).toBeTypeOf('object');
});

test('nothing is sent to another, whoever it says it is', async () => {
  const other = await impostor(random(32));
  const call = controllerFetch(crypto)(
    other.url,
    { method: 'POST', body: '{}' },
    controller.meshId,
  );
  await expect(call).rejects.toThrow(/not of this mesh, nor trusted here/);
  expect(other.requests()).toBe(0);
  await expect(controllerFetch(crypto)(other.url, {}, undefined)).rejects.toThrow();
  expect(other.requests()).toBe(0);
});

test('nor to one whose certificate only stands beside that of the mesh', async () => {
  const seed = random(32);
  const meshId = controllerFingerprint(crypto, crypto.ed25519Public(seed));
  const [, mesh] = ownCertificate(crypto, seed, [], Date.now()).cert.split(
    /(?<=END CERTIFICATE-----\n)/,
  );
  const forged = ownCertificate(crypto, random(32), [], Date.now());
  const [leaf] = forged.cert.split(/(?<=END CERTIFICATE-----\n)/);
  const server = createServer({ key: forged.key, cert: `${leaf}${mesh}` }, (_, response) => {
    response.end('{}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as { port: number };
  const call = controllerFetch(crypto)(`https://127.0.0.1:${port}/`, {}, meshId);
  await expect(call).rejects.toThrow(/not of this mesh/);
});

test('who asks a controller that speaks TLS for plain HTTP is told', async () => {
  const client = new ControllerClient({
    fetch: controllerFetch(crypto),
    clock: systemClock,
    crypto,
    random,
    url: controller.url.replace('https:', 'http:'),
    timeoutMs: 5000,
  });
  await expect(client.getEpoch(random(32))).rejects.toThrow('its URL begins with https://');
});

test('a call that is given up ends, also when its answer has begun', async () => {
  const stop = new AbortController();
  const fetch = controllerFetch(crypto);
  const answer = await fetch(
    `${controller.url}/openapi.json`,
    { signal: stop.signal },
    controller.meshId,
  );
  stop.abort();
  await expect(answer.text()).rejects.toThrow();
  await expect(
    fetch(`${controller.url}/healthz`, { signal: stop.signal }, controller.meshId),
  ).rejects.toThrow();
});

test('a connection that says nothing does not hold up the end of the controller', async () => {
  const socket = connect(controller.port, '127.0.0.1');
  await once(socket, 'connect');
  const closed = once(socket, 'close');
  socket.on('error', () => {});
  await controller.close();
  await closed;
  controller = await started();
});

/** A node with this token, in this test's directory. */
function nodeWith(token: string, stop: AbortSignal, assertCanOpen = async () => {}) {
  return startNode(
    {
      stateDirectory: join(directory.path, 'node'),
      nodeId: 'a',
      token,
      controllerUrl: controller.url,
      advertise: '127.0.0.1',
      listenPort: 0,
      emitMs: 200,
      pollMs: 300,
      probeMs: 10_000,
      sources: [{ suite: 'alignment', source: async () => ({ score: 0.9 }) }],
      samples: 50,
      push: true,
    },
    {
      fetch: controllerFetch(crypto),
      clock: systemClock,
      crypto,
      randomBytes: random,
      random: Math.random,
      emit: () => {},
      assertCanOpen,
      openBackend: (rest) => openBackend({ ...rest, kind: 'userspace', name: 'a' }),
    },
    stop,
  );
}

async function newToken(): Promise<string> {
  const asked = { node_id: null, ttl_s: 60 };
  return orRefuse(await issueToken(controller.services, { kind: 'admin' }, asked)).token;
}

test('a node enrols, is pushed to and becomes a member over TLS that its token alone vouches for', async () => {
  const stop = new AbortController();
  const node = await nodeWith(await newToken(), stop.signal);
  await until(() => node.status().state === 'member' && node.status().push, 'a member with push');
  stop.abort();
  await node.ended;
});

test('a removed node that could have no tunnel does not spend the token that it comes back with', async () => {
  const stop = new AbortController();
  const node = await nodeWith(await newToken(), stop.signal);
  stop.abort();
  await node.ended;
  await controller.services.governor.remove('a');
  const cannot = async () => {
    throw new TunnelError('name_in_use', 'there is one');
  };
  // Before the controller is asked, which would say that the name was used until now.
  const again = nodeWith(await newToken(), new AbortController().signal, cannot);
  await expect(again).rejects.toThrow('there is one');
});
