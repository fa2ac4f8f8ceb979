import { ownIdentity } from '../../../src/agent/accepted-config.ts';
import type { AgentClock } from '../../../src/agent/clock.ts';
import { ConfigAgent } from '../../../src/agent/config-agent.ts';
import { ControllerClient } from '../../../src/agent/controller-client.ts';
import { Counters } from '../../../src/agent/counters.ts';
import { Emitter } from '../../../src/agent/emitter.ts';
import { Membership } from '../../../src/agent/membership.ts';
import { keyRecordOf, type NodeKeys } from '../../../src/agent/node-keys.ts';
import type { Mark } from '../../../src/agent/node-state.ts';
import { DEFAULT_SUITE } from '../../../src/contract/benchmark.ts';
import { toBase64 } from '../../../src/contract/encoding.ts';
import type { Envelope } from '../../../src/contract/envelope.ts';
import { signKeyRecord } from '../../../src/contract/key-record.ts';
import type { Settings } from '../../../src/controller/settings.ts';
import { defaultProvider } from '../../../src/crypto/select.ts';
import { SuspendDetector, TOLERANCE_MS } from '../../../src/ground/suspend.ts';
import { SHORTEST_SLEEP_MS } from '../agent-clock.ts';
import { memoryState } from '../memory-state.ts';
import type { SimulatedNode } from '../simulation.ts';
import type { ChannelUser, SimChannel } from './sim-channel.ts';
import type { SimController } from './sim-controller.ts';
import type { SimWorld } from './sim-world.ts';

const crypto = defaultProvider();
const GOOD_SCORE = 0.9;
const BAD_SCORE = 0.3;
/** How often tunnels look for a suspend, ms: the Linux one in every turn, the other by a timer. */
const SUSPEND_CHECKS_MS = [250, 1000];
/** Shorter suspends an agent need not notice, ms. */
const NOTICED_SUSPEND_MS = TOLERANCE_MS + 1;

/** One run of a node's process. */
interface Process {
  readonly stop: AbortController;
  readonly membership: Membership;
  readonly emitter: Emitter;
  readonly suspend: SuspendDetector;
}

/** A node: the real agent, the real emitter and a real tunnel core on the simulated network. */
export class SimNode {
  readonly nodeId: string;
  readonly tunnel: SimulatedNode;
  isSuspended = false;
  /** The last awakening that must be noticed: simulated time, and the monotonic clock then, ms. */
  awake: { readonly at: number; readonly monotonic: number } | undefined;
  /** Simulated time of the last start with a wall clock behind what it had shown before. */
  lostTimeAt: number | undefined;
  private newestWall = 0;
  private score = GOOD_SCORE;
  private suspendedAt = 0;
  private process: Process | undefined;
  private waiting: (() => void)[] = [];
  private readonly world: SimWorld;
  private readonly settings: Settings;
  private readonly keys: NodeKeys;
  private readonly state = memoryState();
  private readonly counters = new Counters();
  private readonly random: () => number;
  private readonly randomBytes: (length: number) => Uint8Array;

  constructor(world: SimWorld, settings: Settings, nodeId: string) {
    this.world = world;
    this.settings = settings;
    this.nodeId = nodeId;
    const { epochS, graceS } = settings;
    this.tunnel = world.simulation.addNode({
      requirePsk: true,
      maxPeers: 8,
      rotation: { epoch: epochS * 1000, grace: graceS * 1000, quietPairsWait: true },
    });
    this.tunnel.stop();
    this.random = world.random(nodeId);
    this.randomBytes = world.randomBytes(nodeId);
    const { privateKey: wireguard } = this.tunnel;
    this.keys = { wireguard, signing: this.randomBytes(32), sealing: this.randomBytes(32) };
  }

  get isUp(): boolean {
    return this.process !== undefined;
  }

  /** Highest (epoch, version) that it has seen. */
  get mark(): Mark {
    return this.state.readMark();
  }

  /** The epoch whose members and keys are on its device; undefined: none. */
  get epochInForce(): number | undefined {
    return this.process?.membership.inForce?.document.epoch;
  }

  /** The newest header that it has taken. */
  get header(): Envelope | undefined {
    return this.state.readHeader();
  }

  /** How often it has reported that two headers cannot both be true. */
  get splitViews(): number {
    return this.counters.get('split_views');
  }

  /** Seconds since boot, suspend included. */
  boot(): number {
    return this.world.simulation.now / 1000;
  }

  async enrol(controller: SimController): Promise<void> {
    const record = keyRecordOf(crypto, this.keys, controller.meshId, this.nodeId);
    const { endpoint, prefix } = this.tunnel;
    await controller.enrol(
      record,
      signKeyRecord(crypto, this.keys.signing, record),
      `${endpoint.address.join('.')}:${endpoint.port}`,
      prefix.address.join('.'),
    );
  }

  get performs(): boolean {
    return this.score === GOOD_SCORE;
  }

  /** From now on its benchmark goes well, or not. */
  perform(isGood: boolean): void {
    this.score = isGood ? GOOD_SCORE : BAD_SCORE;
  }

  /** Steps its wall clock to so much ahead of the right time, ms. */
  setClock(ahead: number): void {
    this.newestWall = Math.max(this.newestWall, this.wall());
    this.tunnel.clockSkew = ahead;
  }

  /** Measures and reports now, not at the next interval. */
  report(): void {
    const { process } = this;
    if (process === undefined) return;
    this.whenAwake(process, () => void process.emitter.once(process.stop.signal));
  }

  start(controller: SimController, channel: SimChannel): void {
    if (this.process !== undefined) return;
    const { world, nodeId, keys, settings, random, tunnel, state, counters } = this;
    tunnel.restart();
    this.awake = undefined;
    this.lostTimeAt = this.wall() < this.newestWall ? world.simulation.now : undefined;
    const stop = new AbortController();
    const clock = this.clock();
    const emit = () => {};
    const user: ChannelUser = {
      nodeId,
      whenAwake: (work) => this.whenAwake(this.process === process ? process : undefined, work),
    };
    const reportMs = settings.reportIntervalS * 1000;
    const client = new ControllerClient({
      fetch: channel.fetchOf(user),
      clock,
      crypto,
      random: this.randomBytes,
      url: 'http://controller.test:8080',
      timeoutMs: Math.min(5000, reportMs),
    });
    client.belongTo(controller.meshId);
    const meshId = toBase64(controller.meshId);
    const controllerKey = toBase64(controller.publicKey);
    const enrolment = {
      mesh_id: meshId,
      node_id: nodeId,
      controller_key: controllerKey,
      tunnel_prefix: settings.tunnelPrefix,
      epoch_s: settings.epochS,
    };
    const membership = new Membership({
      epochS: settings.epochS,
      tunnel: this.tunnelFor(stop.signal),
      state,
      clock,
      counters,
      emit,
    });
    const common = { client, state, signingSeed: keys.signing, clock, crypto, random, counters };
    const identity = ownIdentity(crypto, enrolment, keys);
    const agent = new ConfigAgent({
      ...common,
      membership,
      identity,
      emit,
      pollMs: reportMs,
      push: true,
    });
    const emitter = new Emitter({
      ...common,
      emit,
      source: async () => ({ score: this.score }),
      meshId: controller.meshId,
      nodeId,
      intervalMs: reportMs,
      suite: DEFAULT_SUITE,
      samples: 10,
    });
    const suspend = new SuspendDetector(
      () => this.boot(),
      () => tunnel.clock,
    );
    const process: Process = { stop, membership, emitter, suspend };
    this.process = process;
    world.now(() => {
      const run = async () => {
        await membership.start();
        await Promise.all([agent.run(stop.signal), emitter.run(stop.signal)]);
      };
      run().catch((error) => {
        if (!stop.signal.aborted) world.failures.push(error);
      });
    });
  }

  /** As by `kill -9`: nobody is told, nothing is tidied up. */
  kill(): void {
    const { process } = this;
    if (process === undefined || this.isSuspended) return;
    this.tunnel.stop();
    this.process = undefined;
    this.waiting = [];
    this.world.now(() => process.stop.abort());
  }

  /** The machine sleeps: nothing happens in it, and what comes in waits or is lost. */
  suspend(): void {
    if (this.isSuspended || this.process === undefined) return;
    this.isSuspended = true;
    this.suspendedAt = this.world.simulation.now;
    this.tunnel.suspend();
  }

  resume(): void {
    const { process, tunnel, world } = this;
    if (!this.isSuspended || process === undefined) return;
    this.isSuspended = false;
    tunnel.resume();
    const { now } = world.simulation;
    if (now - this.suspendedAt > NOTICED_SUSPEND_MS) {
      this.awake = { at: now, monotonic: tunnel.clock };
    }
    const every = SUSPEND_CHECKS_MS[Math.floor(this.random() * SUSPEND_CHECKS_MS.length)]!;
    world.simulation.after(this.random() * every, () => {
      if (this.process !== process || this.isSuspended || !process.suspend.hasSlept()) return;
      tunnel.core.expireAllSessions(tunnel.clock);
      tunnel.wake();
    });
    const waiting = this.waiting.splice(0);
    world.now(() => {
      for (const work of waiting) work();
    });
  }

  private wall(): number {
    return Math.round(this.world.wall() + this.tunnel.clockSkew);
  }

  private whenAwake(process: Process | undefined, work: () => void): void {
    if (process === undefined || process !== this.process) return;
    if (this.isSuspended) this.waiting.push(() => this.whenAwake(process, work));
    else this.world.now(work);
  }

  private tunnelFor(signal: AbortSignal) {
    const { tunnel } = this;
    const assertOpen = () => {
      if (signal.aborted) throw new Error('the process of this tunnel is gone');
    };
    return {
      async configure(change: Parameters<SimulatedNode['configure']>[0]) {
        assertOpen();
        tunnel.configure(change);
      },
      async expireKeypairs(before: number) {
        assertOpen();
        tunnel.core.expireKeypairs(before, tunnel.clock);
        tunnel.wake();
      },
    };
  }

  private clock(): AgentClock {
    const { world, tunnel } = this;
    return {
      boot: () => this.boot(),
      monotonic: () => tunnel.clock,
      wall: () => this.wall(),
      sleep: (ms, signal) =>
        new Promise((resolve) => {
          if (signal.aborted) return resolve();
          const at = tunnel.clock + Math.max(SHORTEST_SLEEP_MS, ms);
          signal.addEventListener('abort', () => resolve(), { once: true });
          const wake = () => {
            if (signal.aborted) return;
            if (this.isSuspended) {
              this.waiting.push(wake);
            } else if (tunnel.clock < at - 1e-6) {
              world.simulation.after(at - tunnel.clock, wake);
            } else {
              world.now(resolve);
            }
          };
          world.simulation.after(at - tunnel.clock, wake);
        }),
    };
  }
}
