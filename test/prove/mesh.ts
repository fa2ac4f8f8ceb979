import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { NodeStatusDocument } from '../../src/agent/status.ts';
import { adminCall } from '../../src/cli/admin-client.ts';
import type { TokenAnswer } from '../../src/contract/admin.ts';
import type { GivenSettings } from '../../src/controller/settings.ts';
import { namespacePlace } from '../../src/demo/namespace-place.ts';
import type { Place } from '../../src/demo/place.ts';
import { userspacePlace } from '../../src/demo/userspace-place.ts';
import type { ControllerPart } from './controller-process.ts';
import { type ForeignDevicePart, foreignBinary, foreignSocket } from './foreign-device.ts';
import { type Message, Part, program } from './part.ts';
import type { RoguePart } from './rogue-node.ts';
import type { ScorerPart } from './scorer-process.ts';
import type { TrafficPart, TrafficReport } from './traffic-process.ts';

const MESHNET = resolve(import.meta.dirname, '../../bin/meshnet');

export interface MeshOptions {
  readonly nodes: readonly string[];
  /** False: tunnels inside the processes, on loopback. */
  readonly namespaces?: boolean;
  readonly settings: GivenSettings;
  /** Called with the controller's state directory before the controller starts. */
  readonly prepare?: (state: string) => Promise<void>;
}

export interface NodeOptions {
  readonly pollMs: number;
  readonly push: boolean;
  /** A node that keeps its sessions whatever it is told. */
  readonly rogue?: boolean;
  /** More parameters for `meshnet node`. */
  readonly parameters?: readonly string[];
  readonly backend?: string;
  /** Name of a foreign device (`startForeignDevice`) that the agent is to drive. */
  readonly foreign?: string;
}

/** A commit of an epoch, as the controller's process reported it. */
export interface Commit {
  readonly epoch: number;
  /** CLOCK_MONOTONIC, ms, when COMMIT came back. */
  readonly at: number;
  /** The same, when the last stream's bytes were with the system. */
  readonly pushedAt: number;
  /** Processor time of writing to all streams, ms. */
  readonly pushCpuMs: number;
  readonly removed: readonly string[];
}

export interface MeshNode {
  readonly name: string;
  readonly state: string;
  /** Tunnel address. */
  readonly address: string;
  /** Address outside the tunnel. */
  readonly outer: string;
  /** Interface of its tunnel. */
  readonly device: string;
  readonly part: Part;
  /** The join token it was enrolled with. */
  readonly token: string;
}

/** A controller and nodes as processes of their own, in namespaces with real TUN devices. */
export class ProofMesh {
  readonly nodes = new Map<string, MeshNode>();
  readonly place: Place;
  private readonly directory: string;
  private readonly options: MeshOptions;
  private controllerPart: Part | undefined;
  private scorer: Part | undefined;
  private readonly others: Part[] = [];
  /** Foreign devices: they have to outlive the agents that empty them. */
  private readonly devices: Part[] = [];

  private constructor(options: MeshOptions, place: Place, directory: string) {
    this.options = options;
    this.place = place;
    this.directory = directory;
  }

  /** Starts the controller, runs `body`, and takes everything down again. */
  static async with<T>(options: MeshOptions, body: (mesh: ProofMesh) => Promise<T>): Promise<T> {
    const directory = mkdtempSync(join(tmpdir(), 'meshnet-proof-'));
    const place =
      options.namespaces === false
        ? await userspacePlace()
        : await namespacePlace(options.nodes, directory);
    const mesh = new ProofMesh(options, place, directory);
    const interrupt = new AbortController();
    const onSignal = () => interrupt.abort();
    process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
    const interrupted = new Promise<never>((_, reject) => {
      interrupt.signal.addEventListener('abort', () => reject(new Error('interrupted')));
    });
    try {
      const run = async () => {
        await options.prepare?.(join(directory, 'controller'));
        await mesh.startController();
        return body(mesh);
      };
      return await Promise.race([run(), interrupted]);
    } finally {
      process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
      await mesh.stop();
      await place.remove();
      rmSync(directory, { recursive: true, force: true });
    }
  }

  get controller(): Part {
    return this.controllerPart!;
  }

  get adminSocket(): string {
    return join(this.directory, 'controller', 'admin.sock');
  }

  /** Puts a command into the controller's (`hub`) or a node's namespace. */
  wrap(where: string): (command: readonly string[]) => [string, ...string[]] {
    return (command) => this.place.wrap(where === 'hub' ? 'controller' : where, command);
  }

  async startController(): Promise<void> {
    const [host, port] = this.place.controllerListen.split(':') as [string, string];
    const state = join(this.directory, 'controller');
    const { settings } = this.options;
    const part: ControllerPart = { state, host, port: Number(port), settings };
    const command = program('controller-process.ts', part);
    this.controllerPart = new Part('controller', this.wrap('hub')(command));
    await this.controllerPart.said({ listening: this.place.controllerUrl });
    const scorer: ScorerPart = { controllerUrl: this.place.controllerUrl };
    this.scorer ??= new Part('scorer', this.wrap('hub')(program('scorer-process.ts', scorer)));
  }

  /** Starts a node; resolves when it is enrolled and its device is there. */
  async startNode(name: string, options: NodeOptions): Promise<MeshNode> {
    const state = join(this.directory, name);
    const body = { node_id: name, ttl_s: 600 };
    const token =
      this.nodes.get(name)?.token ??
      (await this.admin<TokenAnswer>('POST', '/v1/tokens', body)).token;
    const environment = { MESHNET_TOKEN: token };
    const outer = this.place.address(name);
    const part = new Part(name, this.wrap(name)(this.nodeCommand(name, options)), environment);
    this.others.push(part);
    const started = await part.said({ event: 'started' });
    const device = options.foreign ?? 'mesh0';
    const node = { name, state, outer, device, address: started.address as string, part, token };
    this.nodes.set(name, node);
    return node;
  }

  /** Starts the official wireguard-go in a node's namespace, on an interface of that name. */
  async startForeignDevice(where: string, device: string): Promise<void> {
    const options: ForeignDevicePart = { binary: foreignBinary(), device };
    const part = new Part(device, this.wrap(where)(program('foreign-device.ts', options)));
    this.devices.push(part);
    await part.said({ ready: device });
  }

  /** Starts a traffic generator in a node's namespace, to and from all `targets`. */
  async startTraffic(
    from: MeshNode,
    targets: readonly MeshNode[],
    rate: number,
    size = 64,
  ): Promise<Traffic> {
    const options: TrafficPart = {
      sender: senderOf(from),
      address: from.address,
      device: from.device,
      targets: targets.map((target) => target.address),
      senders: targets.map(senderOf),
      rate,
      size,
    };
    const command = this.wrap(from.name)(program('traffic-process.ts', options));
    const traffic = new Traffic(new Part(`traffic of ${from.name}`, command));
    this.others.push(traffic.part);
    await traffic.part.said({ ready: true });
    return traffic;
  }

  /** Starts any other program of this folder beside the mesh. */
  startPart(name: string, where: string, command: readonly string[]): Part {
    const part = new Part(name, this.wrap(where)(command));
    this.others.push(part);
    return part;
  }

  admin<T>(method: 'GET' | 'POST' | 'DELETE', path: string, body?: object): Promise<T> {
    return adminCall<T>({ socket: this.adminSocket }, method, path, body);
  }

  async score(node: MeshNode, score: number): Promise<void> {
    const answer = await this.scorer!.ask({ directory: node.state, score });
    if (answer.ok !== true) throw new Error(`score of ${node.name}: ${answer.error}`);
  }

  /** A node's own status document; it is at most a second old. */
  status(node: MeshNode): NodeStatusDocument {
    return JSON.parse(readFileSync(join(node.state, 'status.json'), 'utf8')) as NodeStatusDocument;
  }

  /** Makes an epoch at once. */
  rotate(): Promise<Commit> {
    return this.committed('POST', '/v1/rotate');
  }

  /** Takes a node out of the mesh, with a new epoch. */
  remove(nodeId: string): Promise<Commit> {
    return this.committed('DELETE', `/v1/nodes/${nodeId}`);
  }

  private async committed(method: 'POST' | 'DELETE', path: string): Promise<Commit> {
    const seen = this.controller.messages.length;
    const { epoch } = await this.admin<{ epoch: number }>(method, path);
    const deadline = performance.now() + 5000;
    for (;;) {
      const found = this.controller.messages
        .slice(seen)
        .find((message) => message.committed === epoch);
      if (found !== undefined) return commitOf(found);
      if (performance.now() > deadline) throw new Error(`epoch ${epoch} was not reported`);
      await delay(1);
    }
  }

  /** Nodes first, so that none of them sees its controller go. */
  async stop(): Promise<void> {
    await Promise.all(this.others.map((part) => part.stop()));
    await Promise.all(this.devices.map((part) => part.stop()));
    await this.scorer?.stop();
    await this.controllerPart?.stop();
  }

  private nodeCommand(name: string, options: NodeOptions): readonly string[] {
    const { place } = this;
    const state = join(this.directory, name);
    if (options.rogue) {
      const rogue: RoguePart = {
        state,
        name,
        controllerUrl: place.controllerUrl,
        advertise: place.address(name),
        listenPort: place.listenPort,
        pollMs: options.pollMs,
        push: options.push,
      };
      return program('rogue-node.ts', rogue);
    }
    const foreign = options.foreign && `uapi:${foreignSocket(options.foreign)}`;
    return [
      ...[MESHNET, 'node', '--json', '--stop-with-stdin', '--name', name, '--state', state],
      ...[
        '--controller',
        place.controllerUrl,
        '--backend',
        foreign ?? options.backend ?? place.mode,
      ],
      ...['--interface', 'mesh0', '--listen-port', String(place.listenPort)],
      ...['--advertise', place.address(name), '--poll', String(options.pollMs / 1000)],
      ...['--probe', '600'],
      ...(options.push ? [] : ['--no-push']),
      ...(options.parameters ?? []),
    ];
  }
}

/** A traffic generator, asked for what it has seen. */
export class Traffic {
  readonly part: Part;

  constructor(part: Part) {
    this.part = part;
  }

  pause(): Promise<Message> {
    return this.part.ask({ command: 'pause' });
  }

  resume(): Promise<Message> {
    return this.part.ask({ command: 'resume' });
  }

  reset(): Promise<Message> {
    return this.part.ask({ command: 'reset' });
  }

  async report(): Promise<TrafficReport> {
    return (await this.part.ask({ command: 'report' })) as unknown as TrafficReport;
  }
}

export const senderOf = (node: MeshNode): number => Number(node.address.split('.').at(-1));

function commitOf(message: Message): Commit {
  return {
    epoch: message.committed as number,
    at: message.at as number,
    pushedAt: message.pushedAt as number,
    pushCpuMs: message.pushCpuMs as number,
    removed: message.removed as string[],
  };
}
