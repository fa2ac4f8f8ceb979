import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ownIdentity } from '../../../src/agent/accepted-config.ts';
import { ConfigAgent } from '../../../src/agent/config-agent.ts';
import { ControllerClient } from '../../../src/agent/controller-client.ts';
import { Counters } from '../../../src/agent/counters.ts';
import type { AgentEvent } from '../../../src/agent/events.ts';
import { Membership } from '../../../src/agent/membership.ts';
import type { NodeState } from '../../../src/agent/node-state.ts';
import { toBase64 } from '../../../src/contract/encoding.ts';
import { defaultProvider } from '../../../src/crypto/select.ts';
import type { SimClock } from '../../lab/agent-clock.ts';
import type { FakeController } from './fake-controller.ts';
import { FakeTunnel } from './fake-tunnel.ts';

export const crypto = defaultProvider();

export function temporaryDirectory(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'meshnet-agent-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

export const EPOCH_S = 60;

/** A config agent on a fake tunnel, talking to a fake controller, in simulated time. */
export function agentRig(
  controller: FakeController,
  clock: SimClock,
  nodeId: string,
  state: NodeState,
  { push = true, pollMs = 10_000 } = {},
) {
  const node = controller.nodes.get(nodeId)!;
  const events: AgentEvent[] = [];
  const counters = new Counters();
  const tunnel = new FakeTunnel();
  let nonces = 0;
  /** How the controller is reached: a test may put another one there. */
  const link = { fetch: controller.fetch };
  const client = new ControllerClient({
    fetch: (url, init) => link.fetch(url, init),
    clock,
    crypto,
    random: (length) => new Uint8Array(length).fill(++nonces),
    url: 'http://controller.test:8080',
    timeoutMs: 5000,
  });
  client.belongTo(controller.meshId);
  const enrolment = {
    mesh_id: toBase64(controller.meshId),
    node_id: nodeId,
    controller_key: toBase64(controller.publicKey),
    tunnel_prefix: '10.10.0.0/24',
    epoch_s: EPOCH_S,
  };
  const emit = (event: AgentEvent) => void events.push(event);
  const membership = new Membership({ epochS: EPOCH_S, tunnel, state, clock, counters, emit });
  const stop = new AbortController();
  const agent = new ConfigAgent({
    client,
    membership,
    state,
    identity: ownIdentity(crypto, enrolment, node.keys),
    signingSeed: node.keys.signing,
    clock,
    crypto,
    random: () => 0.5,
    counters,
    emit,
    pollMs,
    push,
  });
  let ended: Promise<void> | undefined;
  return {
    agent,
    client,
    link,
    counters,
    events,
    membership,
    state,
    tunnel,
    async start() {
      await membership.start();
      ended = agent.run(stop.signal);
      await clock.settle();
    },
    async stop() {
      stop.abort();
      await ended;
    },
    /** Node ids of the peers on the device, by key. */
    peerIds(): string[] {
      const ids = [...controller.nodes].filter(([, other]) =>
        tunnel.peers.has(toBase64(other.record.wireguard)),
      );
      return ids.map(([id]) => id).sort();
    },
    named<K extends AgentEvent['event']>(name: K): Extract<AgentEvent, { event: K }>[] {
      return events.filter((event) => event.event === name) as Extract<AgentEvent, { event: K }>[];
    },
  };
}
