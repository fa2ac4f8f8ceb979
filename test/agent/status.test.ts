import { once } from 'node:events';
import { get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { expect, test } from 'vitest';
import { Counters } from '../../src/agent/counters.ts';
import type { Membership } from '../../src/agent/membership.ts';
import { nodeMetrics } from '../../src/agent/metrics.ts';
import type { DesiredPeer } from '../../src/agent/reconcile.ts';
import { type NodeStatusDocument, nodeStatus, type StatusSources } from '../../src/agent/status.ts';
import { serveStatus } from '../../src/agent/status-output.ts';
import type { PeerStatus } from '../../src/tunnel/create-tunnel.ts';
import { SimClock } from '../lab/agent-clock.ts';

const key = new Uint8Array(32).fill(1);

function status(
  state: string,
  peer: Partial<PeerStatus>,
  sinceS = 1,
  clock = new SimClock(),
  headers: StatusSources['configAgent']['headers'] = { held: undefined, isContradicted: false },
  where: Pick<DesiredPeer, 'endpoint' | 'candidates'> = { endpoint: null },
  places?: readonly string[],
): NodeStatusDocument {
  const membership = {
    state,
    mark: { epoch: 5, version: 6 },
    inForce: {
      expiresAt: clock.boot() + 100,
      document: { epoch: 5, allowed: true, reason: 'passed', explanation: 'good' },
    },
    peers: new Map([
      ['node-b', { nodeId: 'node-b', publicKey: key, tunnelAddress: '10.10.0.3', ...where }],
    ]),
    peersSince: clock.boot() - sinceS,
  } as unknown as Membership;
  return nodeStatus({
    nodeId: 'node-a',
    backend: 'linux',
    tunnelAddress: '10.10.0.2',
    places,
    dataPath: null,
    tunnel: {
      status: () => ({
        privateKey: new Uint8Array(32).fill(0x77),
        publicKey: undefined,
        listenPort: 1,
        fwmark: 0,
        drops: { replay: 3 },
        peers: [
          {
            publicKey: key,
            presharedKey: new Uint8Array(32).fill(0x77),
            endpoint: { family: 4, address: Uint8Array.of(192, 0, 2, 3), port: 5, scope: 0 },
            persistentKeepalive: 0,
            allowedIps: [],
            lastHandshakeAt: undefined,
            txBytes: 1,
            rxBytes: 2,
            generation: undefined,
            ...peer,
          },
        ],
      }),
    },
    membership,
    configAgent: { streaming: true, headers, log: { size: 0, fork: undefined } },
    probe: {
      results: () => [
        {
          node: 'node-b',
          address: '10.10.0.3',
          ok: true,
          rttMs: 2,
          error: undefined,
          at: clock.boot(),
          sent: 4,
          received: 3,
        },
      ],
    },
    scores: [
      { suite: 'red-team', runningMs: 720_000, score: 0.91, ageMs: 2_400_000, failure: null },
    ],
    counters: new Counters(),
    clock,
  });
}

test('ready means that the handshakes with all reachable members are done', () => {
  const clock = new SimClock();
  expect(status('starting', {}).ready_reason).toBe('starting');
  expect(status('denied', { generation: 5 }).ready).toBe(false);
  expect(status('expired', { generation: 5 }).ready_reason).toBe('expired');
  expect(status('member', {}).ready_reason).toBe('handshake with node-b');
  expect(status('member', { generation: 4 }).ready_reason).toBe('handshake with node-b');
  expect(status('member', { generation: 5 }).ready).toBe(true);
  expect(status('member', {}, 10).ready).toBe(true); // it does not answer: not reachable
  // A foreign device tells no generation: a handshake since the new keys will do.
  const fresh = { lastHandshakeAt: clock.wall() - 500 };
  expect(status('member', fresh, 1, clock).ready).toBe(true);
  const old = { lastHandshakeAt: clock.wall() - 5000 };
  expect(status('member', old, 1, clock).ready).toBe(false);
});

test('a peer that nothing is said to or heard from does not make a node wait', () => {
  expect(status('member', { generation: 4, isQuiet: true }).ready).toBe(true);
  expect(status('member', { isQuiet: true }).peers[0]).toMatchObject({ quiet: true });
  expect(status('member', { generation: 4, isQuiet: false }).ready).toBe(false);
});

test('where nobody can begin, a node is not ready, and is told what to do', () => {
  const document = status('member', { endpoint: undefined }, 60);
  expect(document).toMatchObject({ ready: false });
  expect(document.ready_reason).toBe(
    'path: none (no endpoint on either side); give --advertise ADDRESS',
  );
  expect(document.peers[0]!.path).toBe('none (no endpoint on either side)');
  const reached = { endpoint: undefined, lastHandshakeAt: Date.now() };
  expect(status('member', reached, 60).ready).toBe(true);
});

test('the path to a member is where it was heard, or why there is none', () => {
  const path = (
    peer: Partial<PeerStatus>,
    where: Pick<DesiredPeer, 'endpoint' | 'candidates'>,
    places?: readonly string[],
  ) => {
    const clock = new SimClock();
    const headers = { held: undefined, isContradicted: false };
    return status('member', peer, 60, clock, headers, where, places).peers[0]!.path;
  };
  const several = { endpoint: '192.0.2.3:5', candidates: ['198.51.100.3:5', '[2001:db8::3]:5'] };
  expect(path({ lastHandshakeAt: 1 }, several)).toBe('192.0.2.3:5');
  expect(path({}, several)).toBe(
    'none (no answer from 192.0.2.3:5, 198.51.100.3:5, [2001:db8::3]:5)',
  );
  expect(path({ endpoint: undefined }, { endpoint: null }, ['192.0.2.2:5'])).toBe(
    'none (it has no endpoint, and did not call 192.0.2.2:5)',
  );
});

test('a controller that tells two stories shows in status and metrics', () => {
  const told = (isContradicted: boolean) => {
    const document = status('member', {}, 0, new SimClock(), { held: undefined, isContradicted });
    expect(document.split_view).toBe(isContradicted);
    return nodeMetrics(document);
  };
  expect(told(false)).toContain('meshnet_node_split_view 0\n');
  expect(told(true)).toContain('meshnet_node_split_view 1\n');
});

test('neither status nor metrics carry a key', () => {
  const document = status('member', { generation: 5 });
  const text = JSON.stringify(document) + nodeMetrics(document);
  expect(text).not.toContain('119,119');
  expect(text).not.toContain('dXd3d3');
  expect(text).not.toContain('d3d3d3');
  expect(text).not.toContain('77777777');
});

test('metrics name state, peers, probes and drops', () => {
  const text = nodeMetrics(status('member', { generation: 5 }));
  for (const line of [
    'meshnet_node_ready 1',
    'meshnet_node_state{state="member"} 1',
    'meshnet_node_state{state="expired"} 0',
    'meshnet_peer_generation{peer="node-b"} 5',
    'meshnet_peer_receive_bytes_total{peer="node-b"} 2',
    'meshnet_probe_rtt_seconds{peer="node-b"} 0.002',
    'meshnet_device_drops_total{reason="replay"} 3',
    'meshnet_node_score{suite="red-team"} 0.91',
    'meshnet_node_score_age_seconds{suite="red-team"} 2400',
    'meshnet_node_score_running_seconds{suite="red-team"} 720',
  ]) {
    expect(text.split('\n')).toContain(line);
  }
});

test('the status server answers monitors and nobody else', async () => {
  let ready = false;
  const server = await serveStatus('127.0.0.1', 0, () =>
    status('member', ready ? { generation: 5 } : {}),
  );
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  expect((await fetch(`${base}/readyz`)).status).toBe(503);
  ready = true;
  expect((await fetch(`${base}/readyz`)).status).toBe(200);
  expect((await fetch(`${base}/healthz`)).status).toBe(200);
  expect(await (await fetch(`${base}/status.json`)).json()).toMatchObject({ node_id: 'node-a' });
  expect((await fetch(`${base}/metrics`)).headers.get('content-type')).toContain('text/plain');
  expect((await fetch(`${base}/other`)).status).toBe(404);
  expect((await fetch(`${base}/metrics`, { method: 'POST' })).status).toBe(405);
  server.close();
  server.closeAllConnections();
  await once(server, 'close');
});

test('metrics are for those who ask for this machine, not for a page with a name of its own', async () => {
  const server = await serveStatus('127.0.0.1', 0, () => status('member', {}));
  const { port } = server.address() as AddressInfo;
  const asked = (host: string) =>
    new Promise<number>((resolve, reject) => {
      const options = { host: '127.0.0.1', port, path: '/status.json', headers: { host } };
      get(options, (response) => {
        response.resume();
        resolve(response.statusCode!);
      }).on('error', reject);
    });
  for (const host of ['127.0.0.1', `127.0.0.1:${port}`, 'LOCALHOST:1', '[::1]:9', hostname()]) {
    expect(await asked(host), host).toBe(200);
  }
  for (const host of ['evil.example', `evil.example:${port}`, '127.0.0.1.evil.example', 'a b']) {
    expect([400, 421], host).toContain(await asked(host));
  }
  server.close();
});
