import { cpSync, lstatSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { AgentEvent } from '../../src/agent/events.ts';
import { adminCall } from '../../src/cli/admin-client.ts';
import type { TokenAnswer } from '../../src/contract/admin.ts';
import type { EpochDocument } from '../../src/contract/epoch.ts';
import { Child } from '../../src/demo/child.ts';
import { namespacePlace } from '../../src/demo/namespace-place.ts';
import type { Place } from '../../src/demo/place.ts';
import { userspacePlace } from '../../src/demo/userspace-place.ts';

const ROOT = resolve(import.meta.dirname, '../..');

/** What a node said, and when (ms, performance.now of this process). */
export type Heard = { readonly at: number; readonly event: AgentEvent };

export interface LabNode {
  readonly id: string;
  readonly heard: Heard[];
  readonly child: Child;
  /** Process id of the agent itself. */
  readonly pid: number;
  readonly state: string;
}

/** A demo's place, or one in which nodes are not told their address. */
type LabPlace = Omit<Place, 'address'> & { address(nodeId: string): string | undefined };

function labDirectory(): string {
  const directory = join(tmpdir(), `meshnet-lab-${process.pid}`);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { mode: 0o711 }); // scores are read by a user who is not root
  return directory;
}

/** A controller and nodes as real processes, whose scores a test sets. */
export class MeshLab {
  readonly place: LabPlace;
  readonly directory: string;
  readonly epochS: number;
  private readonly nodes = new Map<string, LabNode>();
  private readonly children: Child[] = [];
  private controller: Child | undefined;

  private constructor(place: LabPlace, directory: string, epochS: number) {
    this.place = place;
    this.directory = directory;
    this.epochS = epochS;
  }

  static async open(
    mode: 'linux' | 'userspace',
    nodeIds: readonly string[],
    epochS: number,
  ): Promise<MeshLab> {
    const directory = labDirectory();
    const place =
      mode === 'linux' ? await namespacePlace(nodeIds, directory) : await userspacePlace();
    return new MeshLab(place, directory, epochS);
  }

  /** In a network of the test's own, where nodes find out by themselves where they are. */
  static in(place: Omit<Place, 'address'>, epochS: number): MeshLab {
    const directory = labDirectory();
    return new MeshLab({ ...place, address: () => undefined }, directory, epochS);
  }

  /** `root`: of the sources that it runs from, these or those of another version. */
  async startController(root = ROOT): Promise<void> {
    const parameters = ['controller', '--state', this.controllerState];
    parameters.push('--listen', this.place.controllerListen, '--epoch', String(this.epochS));
    // The plain rule: what these tests set decides the next epoch.
    const policy = join(this.directory, 'policy.json');
    writeFileSync(policy, '{}');
    parameters.push('--policy', policy, '--stop-with-stdin');
    if (this.place.mode === 'linux') parameters.push('--insecure-http');
    this.controller = this.child('controller', root, parameters, () => {}, {});
    await this.until(async () => {
      await this.epoch();
      return true;
    }, 'the controller');
  }

  /** Ends it as a power cut would; `startController` brings it back. */
  async killController(): Promise<void> {
    process.kill(this.controller!.pid!, 'SIGKILL');
    await this.controller!.ended;
  }

  get controllerState(): string {
    return join(this.directory, 'controller');
  }

  /** Its state as a power cut at this moment would leave it, in a directory of its own. */
  copyController(): string {
    const copy = join(this.directory, 'controller-copy');
    process.kill(this.controller!.pid!, 'SIGSTOP');
    cpSync(this.controllerState, copy, {
      recursive: true,
      filter: (path) => !lstatSync(path).isSocket(),
    });
    process.kill(this.controller!.pid!, 'SIGCONT');
    return copy;
  }

  epoch(): Promise<EpochDocument> {
    return this.ask('GET', '/v1/epoch');
  }

  ask<T>(method: 'GET' | 'POST' | 'DELETE', path: string, body?: object): Promise<T> {
    const socket = join(this.controllerState, 'admin.sock');
    return adminCall<T>({ socket }, method, path, body);
  }

  /** What the node's benchmark measures from now on. */
  score(id: string, value: number): void {
    writeFileSync(join(this.directory, `${id}.score`), `${value}\n`);
  }

  async startNode(id: string, extra: readonly string[] = [], root = ROOT): Promise<LabNode> {
    const enrolled = this.nodes.has(id);
    const environment: Record<string, string> = {};
    if (!enrolled) {
      const body = { node_id: id, ttl_s: 600 };
      environment.MESHNET_TOKEN = (await this.ask<TokenAnswer>('POST', '/v1/tokens', body)).token;
      this.score(id, 0.9);
    }
    const scale = this.epochS / 60;
    const state = join(this.directory, id);
    const parameters = ['node', '--json', '--stop-with-stdin', '--name', id, '--state', state];
    parameters.push('--controller', this.place.controllerUrl, '--backend', this.place.mode);
    parameters.push('--listen-port', String(this.place.listenPort));
    const address = this.place.address(id);
    if (address !== undefined) parameters.push('--advertise', address);
    parameters.push('--emit', String(10 * scale), '--poll', String(10 * scale));
    parameters.push('--probe', String(15 * scale));
    parameters.push('--score-command', `cat ${join(this.directory, `${id}.score`)}`, ...extra);
    const heard: Heard[] = [];
    const onLine = (line: string) => {
      heard.push({ at: performance.now(), event: JSON.parse(line) as AgentEvent });
    };
    const child = this.child(id, root, parameters, onLine, environment);
    const node = { id, heard, child, pid: child.pid!, state };
    this.nodes.set(id, node);
    await this.until(() => heard.some(({ event }) => event.event === 'started'), `${id} to start`);
    return node;
  }

  /** The last probe from one node to another since `since`. */
  answered(from: LabNode, to: string, since: number): boolean | undefined {
    const found = from.heard.findLast(
      ({ at, event }) => at >= since && event.event === 'probe' && event.node === to,
    );
    return found?.event.event === 'probe' ? found.event.ok : undefined;
  }

  /** Waits until all of these nodes have had an answer from all others. */
  async allTalk(nodes: readonly LabNode[], timeoutMs = 30_000): Promise<void> {
    const since = performance.now();
    await this.until(
      () =>
        nodes.every((from) =>
          nodes.every((to) => from === to || this.answered(from, to.id, since) === true),
        ),
      `${nodes.map(({ id }) => id).join(' ')} to talk`,
      timeoutMs,
    );
  }

  async until(
    holds: () => boolean | Promise<boolean>,
    what: string,
    timeoutMs = 30_000,
  ): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    const isSo = async () => holds(); // also where it throws at once: a file that is not there yet
    while (!(await isSo().catch(() => false))) {
      if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`);
      await delay(20);
    }
  }

  /** Any other program in a node's place; ends with the lab. */
  run(id: string, command: readonly string[], onLine: (line: string) => void = () => {}): Child {
    const child = new Child({
      name: command[0]!,
      command: this.place.wrap(id, command),
      environment: {},
      onLine,
    });
    this.children.push(child);
    return child;
  }

  async close(): Promise<void> {
    await Promise.all([...this.nodes.values()].map(({ child }) => child.stop(5000)));
    await Promise.all(this.children.map((child) => child.stop(500)));
    await this.controller?.stop(5000);
    await this.place.remove();
    rmSync(this.directory, { recursive: true, force: true });
  }

  private child(
    id: string,
    root: string,
    parameters: readonly string[],
    onLine: (line: string) => void,
    environment: Readonly<Record<string, string>>,
  ): Child {
    const command = this.place.wrap(id, [join(root, 'bin/meshnet'), ...parameters]);
    return new Child({ name: id, command, environment, onLine });
  }
}
