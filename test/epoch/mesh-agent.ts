import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ownIdentity } from '../../src/agent/accepted-config.ts';
import { ConfigAgent } from '../../src/agent/config-agent.ts';
import { ControllerClient } from '../../src/agent/controller-client.ts';
import { Counters } from '../../src/agent/counters.ts';
import type { AgentEvent } from '../../src/agent/events.ts';
import type { Fetch } from '../../src/agent/http-calls.ts';
import { Membership } from '../../src/agent/membership.ts';
import { type NodeState, openNodeState } from '../../src/agent/node-state.ts';
import { toBase64 } from '../../src/contract/encoding.ts';
import { defaultProvider } from '../../src/crypto/select.ts';
import { FakeTunnel } from '../agent/support/fake-tunnel.ts';
import type { TestMesh } from '../controller/support/test-mesh.ts';
import type { TestNode } from '../controller/support/test-node.ts';
import { SimClock } from '../lab/agent-clock.ts';

const crypto = defaultProvider();

/** Changes what a controller answered, or leaves it. `target`: path and query. */
export type Lie = (target: string, response: Response) => Promise<Response> | Response;

/** Real time that something over loopback may take, ms. */
const PATIENCE = 15_000;

/** Waits, in real time, for what goes over sockets. */
export async function until(what: string, check: () => boolean): Promise<void> {
  const deadline = performance.now() + PATIENCE;
  while (!check()) {
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await delay(2);
  }
}

/**
 * A real agent with its memory on disk, over real HTTP with a real controller, on a device that only
 * remembers. Its clock moves when told to; `lie` stands between it and the controller.
 */
export class MeshAgent {
  readonly clock = new SimClock();
  readonly counters = new Counters();
  readonly events: AgentEvent[] = [];
  readonly tunnel = new FakeTunnel();
  readonly requests: string[] = [];
  readonly state: NodeState;
  readonly membership: Membership;
  readonly agent: ConfigAgent;
  lie: Lie = (_target, response) => response;
  private readonly mesh: TestMesh;
  private readonly stop = new AbortController();
  private underWay = 0;
  private ended: Promise<void> | undefined;

  constructor(mesh: TestMesh, node: TestNode, directory: string, { push = true } = {}) {
    this.mesh = mesh;
    this.clock.wallError = mesh.clock.now() - this.clock.wall();
    const { clock, counters, tunnel } = this;
    this.state = openNodeState(directory);
    const fetchWithLies: Fetch = async (url, init) => {
      const { pathname, search } = new URL(url);
      this.requests.push(pathname);
      this.underWay++;
      try {
        return await this.lie(pathname + search, await fetch(url, init));
      } finally {
        this.underWay--;
      }
    };
    const client = new ControllerClient({
      fetch: fetchWithLies,
      clock,
      crypto,
      random: (length) => globalThis.crypto.getRandomValues(new Uint8Array(length)),
      url: mesh.url,
      timeoutMs: 5000,
    });
    client.belongTo(mesh.meshId);
    const enrolment = {
      mesh_id: toBase64(mesh.meshId),
      node_id: node.nodeId,
      controller_key: toBase64(crypto.ed25519Public(controllerSeed(mesh))),
      tunnel_prefix: '10.10.0.0/24',
      epoch_s: 60,
    };
    const emit = (event: AgentEvent) => void this.events.push(event);
    const { state } = this;
    this.membership = new Membership({ epochS: 60, tunnel, state, clock, counters, emit });
    this.agent = new ConfigAgent({
      client,
      membership: this.membership,
      state,
      identity: ownIdentity(crypto, enrolment, node),
      signingSeed: node.signing,
      clock,
      crypto,
      random: () => 0.5,
      counters,
      emit,
      pollMs: 10_000,
      push,
    });
  }

  async start(): Promise<this> {
    await this.membership.start();
    this.ended = this.agent.run(this.stop.signal);
    await until('the first config has come', () => this.answers > 0);
    await this.rest();
    return this;
  }

  async end(): Promise<void> {
    this.stop.abort();
    await this.ended;
  }

  /** Polls, and waits until that has had whatever effect it has. */
  async poll(): Promise<void> {
    const { answers } = this;
    this.agent.pollNow();
    await until('a poll is answered', () => this.answers > answers);
    await this.rest();
  }

  /** Waits until no answer is under way and none waits to have its effect. */
  async rest(): Promise<void> {
    await until('all answers were dealt with', () => {
      return this.underWay === 0 && this.dealtWith >= this.answers;
    });
  }

  /** Time passes for the node and for the controller. */
  async pass(ms: number): Promise<void> {
    await this.mesh.clock.advance(ms);
    await this.clock.advance(ms);
  }

  /** Ids of the peers on the device. */
  get peers(): string[] {
    return [...this.membership.peers.keys()].sort();
  }

  named<K extends AgentEvent['event']>(name: K): Extract<AgentEvent, { event: K }>[] {
    return this.events.filter((event) => event.event === name) as Extract<
      AgentEvent,
      { event: K }
    >[];
  }

  private get answers(): number {
    const { counters } = this;
    const answered = counters.get('config_answers') + counters.get('lease_answers');
    return answered + counters.get('controller_config_failures');
  }

  /** Answers that were applied or ignored. */
  private get dealtWith(): number {
    const settled = Object.entries(this.counters.snapshot()).filter(([name]) =>
      /^(?:configs_applied|config_unchanged|(?:config|lease)_ignored_.*|controller_config_failures)$/.test(
        name,
      ),
    );
    return settled.reduce((sum, [, count]) => sum + count, 0);
  }
}

/** The first random value that a new controller makes. */
export function controllerSeed(mesh: TestMesh): Uint8Array {
  return mesh.randoms[0]!;
}

export function temporaryDirectory(): { readonly path: string; readonly remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'meshnet-epoch-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
