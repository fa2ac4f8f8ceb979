import { setTimeout as delay } from 'node:timers/promises';
import type { TokenAnswer } from '../../src/contract/admin.ts';
import { type Distribution, distribution } from '../lab/statistics.ts';
import type { AgentsPart, Happened } from './agents-process.ts';
import { type Commit, ProofMesh } from './mesh.ts';
import { type Part, program } from './part.ts';

export interface FanoutOptions {
  readonly agents: number;
  /** Pairs of epochs: one that denies a node and one that admits it again. */
  readonly rounds: number;
  readonly processes: number;
  /** Keys sealed for all members at once, one base for all; otherwise each has a config with its own. */
  readonly sealed?: boolean;
}

export interface FanoutResult {
  readonly agents: number;
  readonly epochs: number;
  /** ms from commit until an agent has verified the event and let go of the denied node. */
  readonly event_ms: Distribution;
  /** The same until the last of all agents has. */
  readonly last_event_ms: Distribution;
  /** ms from commit until an agent has fetched, verified, unsealed and applied the new config. */
  readonly config_ms: Distribution;
  readonly last_config_ms: Distribution;
  /** Configs that had to be asked for again because no answer came in time. */
  readonly config_failures: number;
  readonly controller_cpu_s: number;
  readonly agents_cpu_s: number;
}

const POLL_MS = 10_000;

/** One controller, many simulated agents: how long does news take to all of them? */
export async function measureFanout(options: FanoutOptions): Promise<FanoutResult> {
  const settings = {
    epochS: 3600,
    freshnessS: 36_000,
    lifetimeS: 7200,
    tunnelPrefix: '10.10.0.0/16',
    ...(options.sealed ? { pairwiseUpTo: 0 } : {}),
  };
  return ProofMesh.with({ nodes: [], namespaces: false, settings }, (mesh) =>
    new FanoutRun(mesh, options).run(),
  );
}

class FanoutRun {
  private readonly mesh: ProofMesh;
  private readonly options: FanoutOptions;
  private readonly names: string[];
  private parts: Part[] = [];

  constructor(mesh: ProofMesh, options: FanoutOptions) {
    this.mesh = mesh;
    this.options = options;
    this.names = Array.from({ length: options.agents }, (_, i) => `node-${i}`);
  }

  async run(): Promise<FanoutResult> {
    const { agents, rounds } = this.options;
    await this.start();
    // Nobody is a member before its first request for a config: after two epochs, all are.
    for (let epoch = 0; epoch < 2; epoch++) {
      await this.until(await this.mesh.rotate(), 'config', agents);
    }
    const cpuBefore = await this.cpu();
    const events: number[] = [];
    const lastEvents: number[] = [];
    const configs: number[] = [];
    const lastConfigs: number[] = [];
    const failuresBefore = await this.failures();
    for (let round = 0; round < rounds; round++) {
      // One of the second process where there is one, never the first that is started.
      const denied = this.names.at(-1 - (round % Math.max(1, agents - 1)))!;
      for (const score of [0.2, 0.9]) {
        await this.score(denied, score);
        await delay(200 + Math.random() * 300);
        const commit = await this.mesh.rotate();
        const applied = await this.until(commit, 'config', agents);
        configs.push(...applied.map(({ at }) => at - commit.at));
        lastConfigs.push(Math.max(...applied.map(({ at }) => at - commit.at)));
        if (score > 0.5) continue;
        const heard = this.happened.filter((one) => one.what === 'removed');
        const of = heard
          .filter((one) => one.epoch === commit.epoch)
          .map(({ at }) => at - commit.at);
        events.push(...of);
        lastEvents.push(Math.max(...of));
      }
    }
    const cpu = await this.cpu();
    return {
      agents,
      epochs: 2 * rounds,
      event_ms: distribution(events),
      last_event_ms: distribution(lastEvents),
      config_ms: distribution(configs),
      last_config_ms: distribution(lastConfigs),
      config_failures: (await this.failures()) - failuresBefore,
      controller_cpu_s: seconds(cpu.controller - cpuBefore.controller),
      agents_cpu_s: seconds(cpu.agents - cpuBefore.agents),
    };
  }

  private happened: Happened[] = [];

  private async start(): Promise<void> {
    const { mesh, names } = this;
    const processes = Math.min(this.options.processes, names.length);
    const groups: Record<string, string>[] = Array.from({ length: processes }, () => ({}));
    for (const [i, name] of names.entries()) {
      const body = { node_id: name, ttl_s: 3600 };
      const { token } = await mesh.admin<TokenAnswer>('POST', '/v1/tokens', body);
      groups[i % processes]![name] = token;
    }
    this.parts = groups.map((tokens, i) => {
      const { controllerUrl } = mesh.place;
      const part: AgentsPart = { controllerUrl, tokens, pollMs: POLL_MS };
      return mesh.startPart(`agents ${i}`, 'hub', program('agents-process.ts', part));
    });
    await Promise.all(
      this.parts.map((part, i) => part.said({ started: Object.keys(groups[i]!).length }, 600_000)),
    );
  }

  private async score(node: string, score: number): Promise<void> {
    const part = this.parts[this.names.indexOf(node) % this.parts.length]!;
    const answer = await part.ask({ command: 'score', node, score }, 60_000);
    if (answer.ok !== true) throw new Error(`score of ${node}: ${answer.error}`);
  }

  /** Waits until `count` agents have had it happen in the commit's epoch; what happened then. */
  private async until(commit: Commit, what: Happened['what'], count: number): Promise<Happened[]> {
    this.happened = [];
    const deadline = performance.now() + 600_000;
    for (;;) {
      await delay(250);
      for (const part of this.parts) {
        const { happened } = await part.ask({ command: 'report' }, 120_000);
        this.happened.push(...(happened as Happened[]));
      }
      const found = this.happened.filter((one) => one.what === what && one.epoch === commit.epoch);
      if (found.length >= count) return found;
      if (performance.now() > deadline) {
        throw new Error(
          `${found.length} of ${count} agents had a ${what} of epoch ${commit.epoch}`,
        );
      }
    }
  }

  private async failures(): Promise<number> {
    const reports = await Promise.all(this.parts.map((part) => part.ask({ command: 'report' })));
    return reports.reduce((sum, { counters }) => {
      const of = counters as Record<string, number>;
      return sum + (of.controller_config_failures ?? 0);
    }, 0);
  }

  private async cpu(): Promise<{ controller: number; agents: number }> {
    const { cpuMs } = await this.mesh.controller.ask({ command: 'cpu' }, 120_000);
    const reports = await Promise.all(
      this.parts.map((part) => part.ask({ command: 'report' }, 120_000)),
    );
    const agents = reports.reduce((sum, report) => sum + (report.cpuMs as number), 0);
    return { controller: cpuMs as number, agents };
  }
}

const seconds = (ms: number): number => Number((ms / 1000).toFixed(1));
