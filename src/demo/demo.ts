import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { AgentEvent } from '../agent/events.ts';
import type { NodeStatusDocument } from '../agent/status.ts';
import type { TokenAnswer } from '../contract/admin.ts';
import type { EpochDocument } from '../contract/epoch.ts';
import { Child } from './child.ts';
import { bridgeDashboard } from './dashboard-bridge.ts';
import { type Change, DemoModel, type Summary } from './model.ts';
import { namespacePlace, namespacesUnavailable } from './namespace-place.ts';
import type { Place } from './place.ts';
import {
  type DemoTimes,
  demoTimes,
  type NodePlan,
  nodePlans,
  type ScenarioName,
} from './scenario.ts';
import { userspacePlace } from './userspace-place.ts';

export interface DemoOptions {
  /** Seconds. */
  readonly epoch: number;
  /** Seconds; undefined: until it is told to stop. */
  readonly duration: number | undefined;
  readonly scenario: ScenarioName;
  /** True: do not even try real interfaces. */
  readonly userspace: boolean;
  /** How to run `meshnet` once more: program and first arguments. */
  readonly meshnet: readonly [string, ...string[]];
  /** One call to the controller's admin socket. */
  readonly ask: <T>(
    socket: string,
    method: 'GET' | 'POST',
    path: string,
    body?: object,
  ) => Promise<T>;
  readonly output: DemoOutput;
}

/** What the demo shows, while it runs. */
export interface DemoOutput {
  /** `note`: why it is not real interfaces, empty if it is or was not asked for. */
  begin(view: DemoView): void;
  agent(node: string, event: AgentEvent): void;
  epoch(document: EpochDocument): void;
  change(change: Change): void;
  /** Gives the terminal back. */
  end(): void;
}

export interface DemoView {
  readonly model: DemoModel;
  readonly mode: Place['mode'];
  readonly note: string;
  readonly scenario: ScenarioName;
  readonly times: DemoTimes;
  /** Where a browser sees it. */
  readonly dashboardUrl: string;
  readonly hints: readonly string[];
}

export interface DemoResult {
  readonly summary: Summary;
  /** What broke, if something did. */
  readonly failure: string | undefined;
}

const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 5000;
const EPOCH_POLL_MS = 250;
/** How long after a failed call the end of the part that was called is waited for. */
const LAST_WORDS_MS = 1000;

/** Runs a controller and three nodes as processes until time is up, `signal` aborts or one breaks. */
export async function runDemo(options: DemoOptions, signal: AbortSignal): Promise<DemoResult> {
  const plans = nodePlans(options.scenario, options.epoch);
  const directory = makeDirectory();
  let place: Place | undefined;
  let demo: Demo | undefined;
  try {
    const reason = options.userspace ? undefined : await namespacesUnavailable();
    const nodeIds = plans.map((plan) => plan.id);
    place =
      options.userspace || reason !== undefined
        ? await userspacePlace()
        : await namespacePlace(nodeIds, directory);
    const note = reason === undefined ? '' : `userspace mode without interfaces, because ${reason}`;
    demo = new Demo(options, plans, place, note, directory);
    return await demo.run(signal);
  } finally {
    options.output.end();
    await demo?.stop();
    await place?.remove();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Named after this process, so that it can be told whose it is. */
function makeDirectory(): string {
  const directory = join(tmpdir(), `meshnet-demo-${process.pid}`);
  rmSync(directory, { recursive: true, force: true }); // of a process that had this id before
  mkdirSync(directory, { mode: 0o700 });
  return directory;
}

class Demo {
  private readonly options: DemoOptions;
  private readonly plans: readonly NodePlan[];
  private readonly place: Place;
  private readonly note: string;
  private readonly directory: string;
  private readonly times: DemoTimes;
  private readonly model: DemoModel;
  private readonly socket: string;
  private readonly parts: Child[] = [];

  constructor(
    options: DemoOptions,
    plans: readonly NodePlan[],
    place: Place,
    note: string,
    directory: string,
  ) {
    this.options = options;
    this.plans = plans;
    this.place = place;
    this.note = note;
    this.directory = directory;
    this.times = demoTimes(options.epoch);
    this.model = new DemoModel(
      plans.map((plan) => plan.id),
      performance.now(),
    );
    this.socket = join(directory, 'controller', 'admin.sock');
  }

  async run(signal: AbortSignal): Promise<DemoResult> {
    const { options, place, times, model, note } = this;
    const { scenario, output, duration } = options;
    const dashboard = await bridgeDashboard(this.dashboardSocket);
    const dashboardUrl = dashboard.url;
    output.begin({
      model,
      mode: place.mode,
      note,
      scenario,
      times,
      dashboardUrl,
      hints: place.hints,
    });
    const over = new AbortController();
    const until = AbortSignal.any([signal, over.signal]);
    const timer = duration && setTimeout(() => over.abort(), duration * 1000);
    let failure: string | undefined;
    const broken = (why: string) => {
      if (!until.aborted) failure ??= why;
      over.abort();
    };
    try {
      await this.startController(until, broken);
      for (const plan of this.plans) await this.startNode(plan, until, broken);
      await this.watch(until);
    } catch (error) {
      // A part that has just died says more than the call that failed because of it.
      await delay(LAST_WORDS_MS, undefined, { signal: until }).catch(() => {});
      broken(error instanceof Error ? error.message : String(error));
    } finally {
      clearTimeout(timer);
      dashboard.close();
    }
    return { summary: model.summary(place.mode, scenario, times.epoch), failure };
  }

  private get dashboardSocket(): string {
    return join(this.directory, 'dashboard.sock');
  }

  /** Nodes first, so that none of them sees its controller go. */
  async stop(): Promise<void> {
    const [controller, ...nodes] = this.parts;
    await Promise.all(nodes.map((node) => node.stop(STOP_TIMEOUT_MS)));
    await controller?.stop(STOP_TIMEOUT_MS);
  }

  private start(
    name: string,
    parameters: readonly string[],
    environment: Readonly<Record<string, string>>,
    onLine: (line: string) => void,
    broken: (why: string) => void,
  ): void {
    const command = this.place.wrap(name, [...this.options.meshnet, ...parameters]);
    const child = new Child({ name, command, environment, onLine });
    this.parts.push(child);
    void child.ended.then((why) => why !== undefined && broken(why));
  }

  private async startController(until: AbortSignal, broken: (why: string) => void): Promise<void> {
    const { epoch, freshness } = this.times;
    const parameters = ['controller', '--state', join(this.directory, 'controller')];
    // Between namespaces of this machine: whoever could listen there can read the keys, too.
    parameters.push('--listen', this.place.controllerListen, '--insecure-http');
    parameters.push('--epoch', String(epoch), '--freshness', String(freshness));
    parameters.push('--tunnel-prefix', '10.10.0.0/24', '--stop-with-stdin');
    parameters.push('--dashboard', this.dashboardSocket);
    this.start('controller', parameters, {}, () => {}, broken);
    await this.eventually(until, 'the controller', async () => {
      await this.options.ask(this.socket, 'GET', '/v1/epoch');
    });
  }

  /** Starts one and waits until it is enrolled: addresses are given in the order of arrival. */
  private async startNode(
    plan: NodePlan,
    until: AbortSignal,
    broken: (why: string) => void,
  ): Promise<void> {
    if (until.aborted) return;
    const { place, times } = this;
    const body = { node_id: plan.id, ttl_s: 600 };
    const { token } = await this.options.ask<TokenAnswer>(this.socket, 'POST', '/v1/tokens', body);
    const parameters = ['node', '--json', '--stop-with-stdin', '--name', plan.id];
    parameters.push('--state', this.nodeState(plan.id), '--controller', place.controllerUrl);
    parameters.push('--backend', place.mode, '--interface', 'mesh0');
    parameters.push('--listen-port', String(place.listenPort));
    parameters.push('--advertise', place.address(plan.id));
    parameters.push('--emit', String(times.emit), '--poll', String(times.poll));
    parameters.push('--probe', String(times.probe));
    parameters.push('--score-mean', String(plan.mean));
    parameters.push('--score-deviation', String(plan.deviation));
    if (plan.ramp) {
      const { to, startS, lengthS } = plan.ramp;
      parameters.push('--score-ramp', `${to}@${startS}+${lengthS}`);
    }
    let enrolled = false;
    const onLine = (line: string) => {
      const event = JSON.parse(line) as AgentEvent;
      if (event.event === 'enrolled') enrolled = true;
      this.model.onAgent(plan.id, event, performance.now());
      this.options.output.agent(plan.id, event);
    };
    this.start(plan.id, parameters, { MESHNET_TOKEN: token }, onLine, broken);
    await this.eventually(until, plan.id, async () => {
      if (!enrolled) throw new Error('not enrolled yet');
    });
  }

  private async eventually(
    until: AbortSignal,
    what: string,
    attempt: () => Promise<void>,
  ): Promise<void> {
    const deadline = performance.now() + START_TIMEOUT_MS;
    while (!until.aborted) {
      try {
        return await attempt();
      } catch (error) {
        if (performance.now() > deadline) throw new Error(`${what} does not start: ${error}`);
      }
      await delay(20, undefined, { signal: until }).catch(() => {});
    }
  }

  private async watch(until: AbortSignal): Promise<void> {
    const { model, options } = this;
    let shown = '';
    while (!until.aborted) {
      const document = await options.ask<EpochDocument>(this.socket, 'GET', '/v1/epoch');
      const changes = model.onEpoch(document, performance.now());
      const version = `${document.epoch}.${document.version}`;
      if (version !== shown) options.output.epoch(document);
      shown = version;
      for (const change of changes) options.output.change(change);
      for (const nodeId of model.nodeIds) {
        const status = this.readStatus(nodeId);
        if (status) model.status.set(nodeId, status);
      }
      await delay(EPOCH_POLL_MS, undefined, { signal: until }).catch(() => {});
    }
  }

  private readStatus(nodeId: string): NodeStatusDocument | undefined {
    try {
      const text = readFileSync(join(this.nodeState(nodeId), 'status.json'), 'utf8');
      return JSON.parse(text) as NodeStatusDocument;
    } catch {
      return undefined; // not written yet
    }
  }

  private nodeState(nodeId: string): string {
    return join(this.directory, nodeId);
  }
}
