import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { NodeStatusDocument } from '../../src/agent/status.ts';
import { Lab, type Namespace } from '../lab/netns.ts';
import { type PreviousVersion, previousVersion } from '../lab/previous-version.ts';
import { requires } from '../lab/requirements.ts';
import { type LabNode, MeshLab } from './mesh-lab.ts';

/** Nodes that nobody told their address find each other, in networks where the first guess is wrong. */

const EPOCH_S = 3;
const PORT = 51_820;
const CONTROLLER = '192.0.2.1';

let net: Lab;
let mesh: MeshLab | undefined;
let previous: PreviousVersion | undefined;
afterEach(async () => {
  await mesh?.close();
  previous?.remove();
  [mesh, previous] = [undefined, undefined];
  expect(await net.close()).toEqual([]);
});

/** A mesh whose controller is in `hub` and whose nodes are in namespaces by name. */
async function meshIn(hub: Namespace, nodes: Record<string, Namespace>): Promise<MeshLab> {
  mesh = MeshLab.in(
    {
      mode: 'linux',
      wrap: (part, command) => ['ip', 'netns', 'exec', (nodes[part] ?? hub).name, ...command],
      controllerListen: `${CONTROLLER}:8440`,
      controllerUrl: `http://${CONTROLLER}:8440`,
      listenPort: PORT,
      hints: [],
      remove: async () => {},
    },
    EPOCH_S,
  );
  await mesh.startController();
  return mesh;
}

/** Endpoint at which `from` hears the node `to`. */
function pathTo(from: LabNode, to: string): string | undefined {
  const text = readFileSync(join(from.state, 'status.json'), 'utf8');
  const status = JSON.parse(text) as NodeStatusDocument;
  return status.peers.find((peer) => peer.node_id === to)?.path;
}

const throughHub = (namespace: Namespace, via: string) =>
  namespace.run(['ip', 'route', 'add', 'default', 'via', via]);

/** Two nodes, each with a line of its own to the controller, over which they do not reach each other. */
function lanAndUplinks() {
  net = new Lab();
  const hub = net.namespace('hub');
  const [a, b] = [net.namespace('a'), net.namespace('b')];
  hub.run(['ip', 'address', 'add', `${CONTROLLER}/32`, 'dev', 'lo']);
  net.veth(hub, a, { left: ['198.51.100.1/30'], right: ['198.51.100.2/30'] });
  net.veth(hub, b, { left: ['198.51.100.5/30'], right: ['198.51.100.6/30'] });
  throughHub(a, '198.51.100.1');
  throughHub(b, '198.51.100.5');
  net.veth(a, b, { left: ['10.77.0.1/24'], right: ['10.77.0.2/24'] });
  return { hub, a, b };
}

requires(
  'root',
  'tun',
  'node:ffi',
  'netns',
)('without --advertise', () => {
  test('two nodes of one network find each other by the addresses that they have there', async () => {
    const { hub, a, b } = lanAndUplinks();
    const lab = await meshIn(hub, { a, b });
    const [nodeA, nodeB] = [await lab.startNode('a'), await lab.startNode('b')];
    await lab.allTalk([nodeA, nodeB]);
    await lab.until(() => pathTo(nodeA, 'b') === `10.77.0.2:${PORT}`, 'a to hear b there');
    await lab.until(() => pathTo(nodeB, 'a') === `10.77.0.1:${PORT}`, 'b to hear a there');
    const { epoch } = await lab.epoch();
    await lab.until(async () => (await lab.epoch()).epoch >= epoch + 2, 'two epochs');
    await lab.allTalk([nodeA, nodeB]);
  });

  requires('nft')('behind a 1:1 address translation', () => {
    test('a node is reached where the controller sees it come from', async () => {
      net = new Lab();
      const [hub, router] = [net.namespace('hub'), net.namespace('router')];
      const [inside, outside] = [net.namespace('inside'), net.namespace('outside')];
      hub.run(['ip', 'address', 'add', `${CONTROLLER}/32`, 'dev', 'lo']);
      const [hubSide] = net.veth(hub, router, {
        left: ['203.0.113.1/24'],
        right: ['203.0.113.2/24'],
      });
      net.veth(router, inside, { left: ['10.0.0.1/24'], right: ['10.0.0.2/24'] });
      net.veth(hub, outside, { left: ['198.51.100.1/24'], right: ['198.51.100.2/24'] });
      throughHub(router, '203.0.113.1');
      throughHub(inside, '10.0.0.1');
      throughHub(outside, '198.51.100.1');
      for (const one of [hub, router]) one.run(['sysctl', '-qw', 'net.ipv4.ip_forward=1']);
      // 203.0.113.9 is the node inside, both ways; what is inside is unreachable from elsewhere.
      hub.run(['ip', 'route', 'add', '203.0.113.9/32', 'via', '203.0.113.2', 'dev', hubSide]);
      router.run(['nft', '-f', '-'], {
        input: `table ip nat {
          chain in { type nat hook prerouting priority -100; ip daddr 203.0.113.9 dnat to 10.0.0.2; }
          chain out { type nat hook postrouting priority 100; ip saddr 10.0.0.2 snat to 203.0.113.9; }
        }`,
      });
      const lab = await meshIn(hub, { inside, outside });
      const nodes = [await lab.startNode('inside'), await lab.startNode('outside')] as const;
      await lab.allTalk(nodes);
      const [inner, outer] = nodes;
      await lab.until(() => pathTo(outer, 'inside') === `203.0.113.9:${PORT}`, 'the way in');
      await lab.until(() => pathTo(inner, 'outside') === `198.51.100.2:${PORT}`, 'the way out');
    });
  });

  requires('git', 'tar')('beside the previous version', () => {
    test('its node goes on, with the first place that the other was told of', async () => {
      previous = previousVersion();
      net = new Lab();
      const hub = net.namespace('hub');
      const [old, current] = [net.namespace('old'), net.namespace('current')];
      net.veth(hub, old, { left: [`${CONTROLLER}/25`], right: ['192.0.2.2/25'] });
      net.veth(hub, current, { left: ['192.0.2.129/25'], right: ['192.0.2.130/25'] });
      throughHub(old, CONTROLLER);
      throughHub(current, '192.0.2.129');
      hub.run(['sysctl', '-qw', 'net.ipv4.ip_forward=1']);
      // Other addresses of the newer node, of which the older one hears nothing.
      net.veth(current, net.namespace('aside'), { left: ['10.78.0.1/24'] });
      const lab = await meshIn(hub, { old, current });
      const oldNode = await lab.startNode('old', ['--advertise', '192.0.2.2'], previous.root);
      const newer = await lab.startNode('current');
      const heard = newer.heard.map(({ event }) => event);
      await lab.allTalk([oldNode, newer]);
      const { epoch } = await lab.epoch();
      await lab.until(async () => (await lab.epoch()).epoch >= epoch + 2, 'two epochs');
      await lab.allTalk([oldNode, newer]);
      await lab.until(() => pathTo(newer, 'old') === `192.0.2.2:${PORT}`, 'the path');
      expect(heard.filter((event) => event.event === 'endpoint' && !event.ok)).toEqual([]);
      const ignored = oldNode.heard.filter(({ event }) => event.event === 'ignored');
      expect(ignored).toEqual([]);
    });
  });
});
