import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { ownIdentity } from '../../src/agent/accepted-config.ts';
import { systemClock } from '../../src/agent/clock.ts';
import { ConfigAgent } from '../../src/agent/config-agent.ts';
import { ControllerClient } from '../../src/agent/controller-client.ts';
import { Counters } from '../../src/agent/counters.ts';
import { Emitter } from '../../src/agent/emitter.ts';
import { enrol } from '../../src/agent/enrol.ts';
import type { AgentEvent } from '../../src/agent/events.ts';
import { Membership } from '../../src/agent/membership.ts';
import type { NodeKeys } from '../../src/agent/node-keys.ts';
import { DEFAULT_SUITE } from '../../src/contract/benchmark.ts';
import { fromBase64 } from '../../src/contract/encoding.ts';
import type { CryptoProvider } from '../../src/crypto/provider.ts';
import { defaultProvider } from '../../src/crypto/select.ts';
import { monotonicMs } from '../lab/clock.ts';
import { memoryState } from '../lab/memory-state.ts';
import { listen, partOptions, say } from './part.ts';

/**
 * Many nodes without tunnels: the real signed requests, event streams, checks and reconciling of
 * `meshnet node`, each with its own keys, in one process.
 */
export interface AgentsPart {
  readonly controllerUrl: string;
  /** By node id. */
  readonly tokens: Readonly<Record<string, string>>;
  readonly pollMs: number;
}

/** What happened at one agent: CLOCK_MONOTONIC, ms. */
export interface Happened {
  readonly node: string;
  readonly what: 'removed' | 'config';
  readonly epoch: number;
  readonly at: number;
}

const { controllerUrl, tokens, pollMs } = partOptions<AgentsPart>();
const stop = new AbortController();
const real = defaultProvider();
const random = (length: number) => new Uint8Array(randomBytes(length));

/**
 * All agents check the same event and the same key records. On machines of their own each does that
 * once; here the second of them would have to wait for the first, so results are shared.
 */
function sharedVerification(): CryptoProvider {
  const known = new Map<string, unknown>();
  const once = <T>(parts: readonly Uint8Array[], compute: () => T): T => {
    const key = parts.map((bytes) => Buffer.from(bytes).toString('latin1')).join('|');
    if (!known.has(key)) {
      if (known.size > 20_000) known.clear();
      known.set(key, compute());
    }
    return known.get(key) as T;
  };
  const shared: Pick<CryptoProvider, 'ed25519Verify' | 'x25519'> = {
    ed25519Verify: (publicKey, message, signature) =>
      message.length > 4096
        ? real.ed25519Verify(publicKey, message, signature) // a config: of one agent only
        : once([publicKey, message, signature], () =>
            real.ed25519Verify(publicKey, message, signature),
          ),
    x25519: (privateKey, publicKey) =>
      once([privateKey, publicKey], () => real.x25519(privateKey, publicKey)),
  };
  return new Proxy(real, {
    get: (target, name) => Reflect.get(name in shared ? shared : target, name),
  });
}

const crypto = sharedVerification();
let happened: Happened[] = [];

class SimulatedAgent {
  readonly counters = new Counters();
  private readonly name: string;
  private readonly keys: NodeKeys;
  private readonly client: ControllerClient;
  private emitter: Emitter | undefined;
  private measured = 0.9;

  constructor(name: string) {
    this.name = name;
    this.keys = { wireguard: random(32), signing: random(32), sealing: random(32) };
    this.client = new ControllerClient({
      fetch,
      clock: systemClock,
      crypto,
      random,
      url: controllerUrl,
      timeoutMs: 5000,
    });
  }

  async start(token: string): Promise<void> {
    const { name, keys, client, counters } = this;
    const enrolment = await enrol(
      {
        client,
        crypto,
        clock: systemClock,
        random: Math.random,
        keys,
        nodeId: name,
        token,
        endpoint: null,
        listenPort: 51_820,
        waiting: () => {},
      },
      stop.signal,
    );
    const meshId = fromBase64(enrolment.mesh_id, 32)!;
    client.belongTo(meshId);
    const state = memoryState();
    const emit = (event: AgentEvent) => this.heard(event);
    this.emitter = new Emitter({
      client,
      source: async () => ({ score: this.measured }),
      state,
      meshId,
      nodeId: name,
      signingSeed: keys.signing,
      clock: systemClock,
      crypto,
      random: Math.random,
      counters,
      emit,
      intervalMs: pollMs,
      suite: DEFAULT_SUITE,
      samples: 50,
    });
    // What was not delivered is measured again, as every interval.
    while (!(await this.score(this.measured))) await delay(pollMs);
    const membership = new Membership({
      epochS: enrolment.epoch_s,
      tunnel: { configure: async () => {}, expireKeypairs: async () => {} },
      state,
      clock: systemClock,
      counters,
      emit,
    });
    await membership.start();
    const agent = new ConfigAgent({
      client,
      membership,
      state,
      identity: ownIdentity(crypto, enrolment, keys),
      signingSeed: keys.signing,
      clock: systemClock,
      crypto,
      random: Math.random,
      counters,
      emit,
      pollMs,
      push: true,
    });
    void agent.run(stop.signal);
  }

  /** Measures `score` and delivers it as a node does; false: the controller has not taken it. */
  async score(score: number): Promise<boolean> {
    this.measured = score;
    await this.emitter!.once(stop.signal);
    return this.emitter!.progress().failure === null;
  }

  private heard(event: AgentEvent): void {
    if (event.event !== 'removed' && event.event !== 'config') return;
    const { event: what, epoch } = event;
    happened.push({ node: this.name, what, epoch, at: monotonicMs() });
  }
}

const agents = new Map<string, SimulatedAgent>();
for (const [name, token] of Object.entries(tokens)) {
  const agent = new SimulatedAgent(name);
  agents.set(name, agent);
  await agent.start(token);
}
say({ started: agents.size });

listen(
  ({ id, command, node, score }) => {
    if (command === 'score') {
      agents
        .get(node as string)!
        .score(score as number)
        .then(
          (ok) => say({ id, ok, error: 'it was not taken' }),
          (error: Error) => say({ id, ok: false, error: error.message }),
        );
      return;
    }
    const counters: Record<string, number> = {};
    for (const agent of agents.values()) {
      for (const [name, value] of Object.entries(agent.counters.snapshot())) {
        counters[name] = (counters[name] ?? 0) + value;
      }
    }
    const { user, system } = process.cpuUsage();
    say({ id, happened, counters, cpuMs: (user + system) / 1000 });
    happened = [];
  },
  () => process.exit(0),
);
