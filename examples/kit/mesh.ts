import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentEvent } from '../../src/agent/events.ts';
import { adminCall } from '../../src/cli/admin-client.ts';
import type { TokenAnswer } from '../../src/contract/admin.ts';
import { toBase64 } from '../../src/contract/encoding.ts';
import type { EpochDocument } from '../../src/contract/epoch.ts';
import { writeKeyFile } from '../../src/contract/key-file.ts';
import { defaultProvider } from '../../src/crypto/select.ts';
import { Child } from '../../src/demo/child.ts';
import { namespacePlace, namespacesUnavailable } from '../../src/demo/namespace-place.ts';
import type { Place } from '../../src/demo/place.ts';
import { userspacePlace } from '../../src/demo/userspace-place.ts';
import { replaceFileSync } from '../../src/ground/files.ts';

const MESHNET = resolve(import.meta.dirname, '../../bin/meshnet');
const START_MS = 60_000;
const STOP_MS = 5000;

/** What changed for a node, ms after the mesh was opened. */
export interface Change {
  readonly at: number;
  readonly node: string;
  readonly allowed: boolean;
  readonly reason: string;
  readonly explanation: string;
}

export interface MeshOptions {
  readonly name: string;
  readonly nodes: readonly string[];
  /** Length of an epoch, s. */
  readonly epochS: number;
  /** The policy's `suites` and whatever else; evaluators are added. */
  readonly policy: object;
  /** How many evaluators there are. Default: 1. */
  readonly evaluators?: number;
}

/**
 * A mesh as its users run it: the commands `meshnet controller`, `meshnet node` and `meshnet evaluator`
 * as processes; with real interfaces in network namespaces where this is root on Linux, else inside the
 * processes.
 */
export class Mesh {
  readonly place: Place;
  readonly directory: string;
  /** Why there are no real interfaces; empty where there are. */
  readonly note: string;
  readonly changes: Change[] = [];
  private readonly options: MeshOptions;
  private readonly started = performance.now();
  private readonly parts: Child[] = [];
  private readonly broken: string[] = [];
  private readonly answers = new Map<string, { at: number; ok: boolean }>();
  private readonly failures = new Map<string, string>();
  private readonly known = new Map<string, boolean>();
  private readonly addresses = new Map<string, string>();
  private readonly watching = new AbortController();
  private watched: Promise<void> = Promise.resolve();

  private constructor(options: MeshOptions, place: Place, directory: string, note: string) {
    this.options = options;
    this.place = place;
    this.directory = directory;
    this.note = note;
  }

  static async open(options: MeshOptions): Promise<Mesh> {
    const directory = join(tmpdir(), `meshnet-${options.name}-${process.pid}`);
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { mode: 0o711 });
    const reason = await namespacesUnavailable();
    const place =
      reason === undefined
        ? await namespacePlace(options.nodes, directory)
        : await userspacePlace();
    const note = reason === undefined ? '' : `inside the processes, because ${reason}`;
    const mesh = new Mesh(options, place, directory, note);
    try {
      await mesh.startController();
    } catch (error) {
      await mesh.close();
      throw error;
    }
    return mesh;
  }

  /** Beyond loopback the controller speaks TLS, with its own certificate. */
  private get url(): string {
    const { mode, controllerUrl } = this.place;
    return mode === 'linux' ? controllerUrl.replace(/^http:/, 'https:') : controllerUrl;
  }

  /** ms since the mesh was opened. */
  now(): number {
    return performance.now() - this.started;
  }

  path(...names: string[]): string {
    return join(this.directory, ...names);
  }

  epoch(): Promise<EpochDocument> {
    return this.ask('GET', '/v1/epoch');
  }

  /** The address of a node inside the mesh. */
  address(node: string): string {
    return this.addresses.get(node)!;
  }

  /** Starts all nodes and waits until they are enrolled. */
  async startNodes(parameters: (node: string) => readonly string[] = () => []): Promise<void> {
    for (const node of this.options.nodes) {
      const { token } = await this.ask<TokenAnswer>('POST', '/v1/tokens', {
        node_id: node,
        ttl_s: 600,
      });
      const { epochS } = this.options;
      const all = ['node', '--json', '--stop-with-stdin', '--name', node];
      all.push('--state', this.path('nodes', node), '--controller', this.url);
      all.push('--backend', this.place.mode, '--listen-port', String(this.place.listenPort));
      all.push('--advertise', this.place.address(node));
      all.push('--poll', String(epochS / 3), '--probe', String(epochS / 4), ...parameters(node));
      this.run(node, [MESHNET, ...all], {
        environment: { MESHNET_TOKEN: token },
        onLine: (line) => this.heard(node, JSON.parse(line) as AgentEvent),
      });
    }
    await this.until('all nodes to be enrolled', async () => {
      const { nodes } = await this.epoch();
      for (const one of nodes) this.addresses.set(one.node_id, one.tunnel_address);
      return nodes.length === this.options.nodes.length;
    });
    this.watched = this.watch();
  }

  /** Runs `meshnet evaluator` beside the controller; `onEvent` hears what it says. `number`: which of them. */
  evaluate(
    parameters: readonly string[],
    onEvent: (event: Record<string, unknown>) => void = () => {},
    number = 0,
  ): Promise<void> {
    return this.epoch().then(({ mesh_id }) => {
      const all = ['evaluator', '--json', '--stop-with-stdin', '--key', this.evaluatorKey(number)];
      all.push('--mesh', mesh_id, '--controller', this.url, ...parameters);
      this.run('controller', [MESHNET, ...all], {
        onLine: (line) => {
          const event = JSON.parse(line) as Record<string, unknown>;
          if (event.event === 'score') this.failures.delete(`${event.suite} of ${event.node}`);
          if (event.event === 'score_failed') {
            this.failures.set(`${event.suite} of ${event.node}`, String(event.detail));
          }
          if (event.event === 'controller' && event.ok === false) {
            this.failures.set('evaluator', String(event.detail));
          }
          onEvent(event);
        },
      });
    });
  }

  /** Any program in the place of a node, or of the controller; it ends with the mesh. */
  run(
    part: string,
    command: readonly string[],
    {
      environment = {},
      onLine = () => {},
    }: {
      readonly environment?: Readonly<Record<string, string>>;
      readonly onLine?: (line: string) => void;
    } = {},
  ): Child {
    const name = `${part}: ${command.slice(0, 2).join(' ')}`;
    const child = new Child({ name, command: this.place.wrap(part, command), environment, onLine });
    this.parts.push(child);
    void child.ended.then((why) => why !== undefined && this.broken.push(why));
    return child;
  }

  /** What a command of `meshnet` prints. */
  async said(...parameters: string[]): Promise<string> {
    const lines: string[] = [];
    const socket = this.path('controller', 'admin.sock');
    const child = new Child({
      name: `meshnet ${parameters[0]}`,
      command: [MESHNET, ...parameters, '--socket', socket],
      environment: {},
      onLine: (line) => lines.push(line),
    });
    await child.ended;
    return lines.join('\n');
  }

  /** Whether the last echo between the two through their tunnel, after `since`, was answered. */
  answered(from: string, to: string, since = 0): boolean | undefined {
    const answer = this.answers.get(`${from} ${to}`);
    return answer === undefined || answer.at < since ? undefined : answer.ok;
  }

  isMember(node: string): boolean {
    return this.known.get(node) ?? false;
  }

  /** Throws what broke, or that it took too long. */
  async until(
    what: string,
    holds: () => boolean | Promise<boolean>,
    timeoutMs = START_MS,
  ): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!(await Promise.resolve(holds()).catch(() => false))) {
      if (this.broken.length > 0) throw new Error(this.broken.join('\n'));
      if (performance.now() > deadline) {
        throw new Error(`waited in vain for ${what}${this.lastWords()}`);
      }
      await sleep(100);
    }
  }

  /** Also after a failure in the middle. */
  async close(): Promise<void> {
    this.watching.abort();
    await this.watched;
    const [controller, ...others] = this.parts;
    await Promise.all(others.map((part) => part.stop(STOP_MS)));
    await controller?.stop(STOP_MS);
    await this.place.remove();
    rmSync(this.directory, { recursive: true, force: true });
  }

  private evaluatorKey(number: number): string {
    return this.path(`evaluator-${number}.key`);
  }

  /** What went wrong last for each node: nobody reads ten logs. */
  private lastWords(): string {
    return [...this.failures].map(([node, detail]) => `\n  ${node}: ${detail}`).join('');
  }

  private async startController(): Promise<void> {
    const { policy, epochS, evaluators: many = 1 } = this.options;
    const evaluators = Array.from({ length: many }, (_, number) => {
      const seed = new Uint8Array(randomBytes(32));
      writeKeyFile(this.evaluatorKey(number), seed);
      return toBase64(defaultProvider().ed25519Public(seed));
    });
    const whole = { version: 2, epoch_s: epochS, ...policy, evaluators };
    replaceFileSync(this.path('policy.json'), JSON.stringify(whole));
    const parameters = ['controller', '--state', this.path('controller'), '--stop-with-stdin'];
    parameters.push('--listen', this.place.controllerListen, '--policy', this.path('policy.json'));
    this.run('controller', [MESHNET, ...parameters]);
    await this.until('the controller', async () => (await this.epoch()).epoch >= 0);
  }

  private ask<T>(method: 'GET' | 'POST', path: string, body?: object): Promise<T> {
    const socket = this.path('controller', 'admin.sock');
    return adminCall<T>({ socket }, method, path, body);
  }

  private heard(from: string, event: AgentEvent): void {
    if (event.event === 'controller') {
      if (event.ok) this.failures.delete(from);
      else this.failures.set(from, `${event.call}: ${event.detail}`);
    }
    if (event.event !== 'probe') return;
    this.answers.set(`${from} ${event.node}`, { at: this.now(), ok: event.ok });
  }

  /** Notes who comes in and who goes. */
  private async watch(): Promise<void> {
    const { signal } = this.watching;
    while (!signal.aborted) {
      const epoch = await this.epoch().catch(() => undefined);
      for (const { node_id, allowed, reason, explanation } of epoch?.nodes ?? []) {
        if (this.known.get(node_id) === allowed) continue;
        this.known.set(node_id, allowed);
        this.changes.push({ at: this.now(), node: node_id, allowed, reason, explanation });
      }
      await sleep(200, undefined, { signal }).catch(() => {});
    }
  }
}
