import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import type { AgentEvent } from '../../../src/agent/events.ts';
import { type ConfigDocument, peerListHash } from '../../../src/contract/config.ts';
import { fromBase64 } from '../../../src/contract/encoding.ts';
import type { Envelope } from '../../../src/contract/envelope.ts';
import type { EpochDocument } from '../../../src/contract/epoch.ts';
import { SIGNATURE_TAGS } from '../../../src/contract/http-signature.ts';
import { openKeyRecord } from '../../../src/contract/key-record.ts';
import { openPsks } from '../../../src/contract/sealed-psks.ts';
import { defaultProvider } from '../../../src/crypto/select.ts';
import { seededRandom } from '../../lab/random.ts';
import { ControllerProcess } from './controller-process.ts';
import { LogWatch } from './log-watch.ts';
import { call, payloadOf, problemOf } from './test-mesh.ts';
import type { TestNode } from './test-node.ts';

const crypto = defaultProvider();
const MESHNET = new URL('../../../src/cli/meshnet.ts', import.meta.url).pathname;

export interface KillResult {
  readonly kills: number;
  /** Of these, before the controller had answered anything. */
  readonly whileStarting: number;
  readonly acknowledged: number;
  readonly epochs: number;
  /** Of the log, and verdicts in it that were made again from their evidence. */
  readonly leaves: number;
  readonly confirmed: number;
  readonly failures: readonly string[];
  /** Longest time from a start until real nodes had new configs and answered each other, ms. */
  readonly slowestRecovery: number;
}

const EPOCH_S = 0.5;
const REPORTERS = 6;
/** A score tells its sequence: 0.7 and so many millionths. */
const UNIT = 1e-6;

/**
 * Kills a controller `kills` times at random moments, while nodes report as fast as they may and
 * two real nodes live their life, and checks after every start what it still knows.
 */
export async function killUnderTraffic(kills: number, seed: number): Promise<KillResult> {
  const controller = new ControllerProcess(['--epoch', String(EPOCH_S), '--freshness', '60']);
  const run = new Run(controller, seededRandom(seed));
  try {
    return await run.all(kills);
  } finally {
    await run.end();
    await controller.remove();
  }
}

class Run {
  private readonly controller: ControllerProcess;
  private readonly random: () => number;
  private readonly failures: string[] = [];
  private readonly reporters: Reporter[] = [];
  private readonly agents: Agent[] = [];
  /** Epoch and version -> what the config of one node said of its keys. */
  private readonly keysSeen = new Map<string, string>();
  private newest = 0;
  private isOver = false;

  constructor(controller: ControllerProcess, random: () => number) {
    this.controller = controller;
    this.random = random;
  }

  async all(kills: number): Promise<KillResult> {
    const { controller, random } = this;
    await controller.start();
    const meshId = fromBase64((await controller.epoch()).mesh_id)!;
    const watch = new LogWatch(() => controller.url, meshId);
    for (let i = 0; i < REPORTERS; i++) {
      const node = await controller.enrol(`reporter-${i}`, i + 1);
      this.reporters.push(new Reporter(controller, node, meshId));
    }
    for (const name of ['agent-a', 'agent-b']) {
      this.agents.push(new Agent(name, controller.url, await controller.token()));
    }
    const traffic = this.reporters.map((one) => one.run(() => this.isOver));
    await this.recovered();
    let whileStarting = 0;
    let slowestRecovery = 0;
    for (let i = 0; i < kills; i++) {
      await delay(random() * 700);
      await controller.kill();
      if (random() < 0.2) {
        controller.launch();
        await delay(random() * 600);
        await controller.kill();
        whileStarting++;
        i++;
      }
      const acknowledged = this.reporters.map((one) => one.acknowledged);
      const started = performance.now();
      await controller.start();
      await this.check(acknowledged, meshId);
      for (const what of await watch.look()) this.fail(`log: ${what}`);
      if (i % 10 === 0) {
        await this.recovered();
        slowestRecovery = Math.max(slowestRecovery, performance.now() - started);
      }
    }
    const last = performance.now();
    await this.recovered();
    slowestRecovery = Math.max(slowestRecovery, performance.now() - last);
    this.isOver = true;
    await Promise.all(traffic);
    this.checkLog();
    for (const one of this.reporters) this.failures.push(...one.failures);
    return {
      kills,
      whileStarting,
      acknowledged: this.reporters.reduce((sum, one) => sum + one.count, 0),
      epochs: this.newest,
      leaves: watch.leaves,
      confirmed: watch.confirmed,
      failures: this.failures,
      slowestRecovery: Math.round(slowestRecovery),
    };
  }

  async end(): Promise<void> {
    this.isOver = true;
    await Promise.all(this.agents.map((one) => one.end()));
  }

  /** What was acknowledged before the kill is known after it; no epoch went back or changed. */
  private async check(acknowledged: readonly number[], meshId: Uint8Array): Promise<void> {
    const { controller, reporters } = this;
    const epoch = await controller.epoch();
    if (epoch.epoch < this.newest) this.fail(`epoch ${epoch.epoch} after ${this.newest}`);
    this.newest = epoch.epoch;
    for (const [i, { node }] of reporters.entries()) {
      const status = epoch.nodes.find((one) => one.node_id === node.nodeId);
      const known = Math.round(((status?.score ?? 0) - 0.7) / UNIT);
      if (known < acknowledged[i]!) {
        this.fail(`${node.nodeId}: knows ${known}, had acknowledged ${acknowledged[i]}`);
      }
    }
    this.expectMembers(epoch);
    const [first, second] = reporters as [Reporter, Reporter];
    const replay = { sequence: acknowledged[0]!, score: 0.1 };
    const answer = await first.post(first.node.score(meshId, 0.1, Date.now(), replay));
    if (answer && (answer.status !== 409 || problemOf(answer).last! < acknowledged[0]!)) {
      this.fail(`a sequence was taken again: ${answer.text}`);
    }
    await this.checkKeys(first.node, second.node.nodeId, meshId);
  }

  private expectMembers(epoch: EpochDocument): void {
    // Members once, they stay it: reports came all the time but for the controller's absence.
    const denied = epoch.nodes.filter((one) => one.reason === 'score_too_old');
    for (const one of denied) this.fail(`epoch ${epoch.epoch} denies ${one.node_id}: too old`);
  }

  /** The same epoch must have the same keys, whoever of the killed controllers tells them. */
  private async checkKeys(node: TestNode, peerId: string, meshId: Uint8Array): Promise<void> {
    const url = `${this.controller.url}/v1/config/${node.nodeId}`;
    const get = async (at: number) =>
      call(url, { headers: node.signed(url, SIGNATURE_TAGS.config, at) });
    let answer = await get(Date.now());
    // The second of the start is refused; its answer tells the time to sign with.
    for (let i = 0; i < 30 && answer.status === 401; i++) {
      await delay(100);
      answer = await get(problemOf(answer).server_time!);
    }
    if (answer.status !== 200) return this.fail(`config: ${answer.text}`);
    const config = payloadOf<ConfigDocument>(JSON.parse(answer.text) as Envelope);
    const key = await pskOf(config, node, peerId, meshId);
    if (key === undefined) return;
    const name = `${config.epoch}.${config.version}`;
    const before = this.keysSeen.get(name);
    if (before !== undefined && before !== key) this.fail(`epoch ${name} has two keys`);
    this.keysSeen.set(name, key);
  }

  /** No number was committed twice, by whichever process. */
  private checkLog(): void {
    const epochs: number[] = [];
    for (const line of this.controller.log) {
      const entry = JSON.parse(line) as { event?: string; epoch: number; level: number };
      if (entry.event === 'epoch_committed') epochs.push(entry.epoch);
      if (entry.level >= 50) this.fail(`logged: ${line}`);
    }
    for (const [i, epoch] of epochs.entries()) {
      if (i > 0 && epoch <= epochs[i - 1]!) this.fail(`epoch ${epoch} after ${epochs[i - 1]}`);
    }
    if (this.controller.stderr !== '') this.fail(`stderr: ${this.controller.stderr}`);
  }

  /** Until the real nodes have a config of now and answer each other. */
  private async recovered(): Promise<void> {
    const since = performance.now();
    while (!this.agents.every((one) => one.reachedAt > since && one.configAt > since)) {
      if (performance.now() - since > 30_000) {
        const states = this.agents.map((one) => one.state).join(' | ');
        return this.fail(`nodes did not recover: ${states}`);
      }
      await delay(50);
    }
  }

  private fail(what: string): void {
    if (this.failures.length < 20) this.failures.push(what);
  }
}

async function pskOf(
  config: ConfigDocument,
  node: TestNode,
  peerId: string,
  meshId: Uint8Array,
): Promise<string | undefined> {
  const index = config.peers.findIndex((peer) => peer.node_id === peerId);
  if (index < 0 || config.sealed_psks === null) return undefined;
  const list = config.peers.map((peer) => {
    const record = openKeyRecord(crypto, peer.record);
    if (!record.ok) throw new Error('a key record does not verify');
    const { wireguard } = record.value;
    return { nodeId: peer.node_id, wireguard, sinceEpoch: peer.since_epoch };
  });
  const psks = await openPsks(node.sealing, config.sealed_psks, list.length, {
    meshId,
    nodeId: node.nodeId,
    epoch: config.epoch,
    version: config.version,
    peerList: peerListHash(crypto, list),
  });
  if (!psks) throw new Error('the sealed keys do not open');
  return Buffer.from(psks[index]!).toString('hex');
}

/** Reports one score after the other, and remembers which ones were acknowledged. */
class Reporter {
  /** Sequence of the last acknowledged score. */
  acknowledged = 0;
  count = 0;
  readonly failures: string[] = [];
  readonly node: TestNode;
  private readonly controller: ControllerProcess;
  private readonly meshId: Uint8Array;

  constructor(controller: ControllerProcess, node: TestNode, meshId: Uint8Array) {
    this.controller = controller;
    this.node = node;
    this.meshId = meshId;
  }

  async run(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const sequence = this.node.sequence + 1;
      const score = 0.7 + sequence * UNIT;
      const answer = await this.post(this.node.score(this.meshId, score, Date.now()));
      if (answer?.status === 202) {
        this.acknowledged = sequence;
        this.count++;
      } else if (answer && answer.status !== 429 && answer.status < 500) {
        this.failures.push(`${this.node.nodeId}: ${answer.text}`);
        return;
      }
      await delay(5);
    }
  }

  /** Undefined: no answer. It may have been taken all the same. */
  post(body: unknown) {
    const url = `${this.controller.url}/v1/benchmarks/${this.node.nodeId}`;
    return call(url, { method: 'POST', body }).catch(() => undefined);
  }
}

/** A real node in userspace mode. */
class Agent {
  /** performance.now() of the last config that allowed it, and of the last answer of the other. */
  configAt = 0;
  reachedAt = 0;
  state = 'starting';
  private readonly directory = mkdtempSync(join(tmpdir(), 'meshnet-agent-'));
  private readonly process: ChildProcess;

  constructor(name: string, url: string, token: string) {
    const own = ['node', '--name', name, '--state', join(this.directory, 'node')];
    const mesh = ['--controller', url, '--backend', 'userspace', '--advertise', '127.0.0.1'];
    const times = ['--emit', '0.2', '--poll', '0.5', '--probe', '1', '--score-mean', '0.9'];
    const all = [MESHNET, ...own, ...mesh, ...times, '--json', '--stop-with-stdin'];
    const env = { ...process.env, MESHNET_TOKEN: token };
    this.process = spawn(process.execPath, all, { stdio: ['pipe', 'pipe', 'pipe'], env });
    this.process.stdin?.on('error', () => {});
    this.process.stderr?.resume();
    createInterface({ input: this.process.stdout! }).on('line', (line) => {
      const event = JSON.parse(line) as AgentEvent;
      this.state = `${name}: ${line}`;
      if (event.event === 'config' && event.allowed) this.configAt = performance.now();
      if (event.event === 'probe' && event.ok && event.node.startsWith('agent-')) {
        this.reachedAt = performance.now();
      }
    });
  }

  async end(): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      const gone = once(this.process, 'close');
      this.process.stdin?.end();
      const timer = setTimeout(() => this.process.kill('SIGKILL'), 5000);
      await gone;
      clearTimeout(timer);
    }
    rmSync(this.directory, { recursive: true, force: true });
  }
}
