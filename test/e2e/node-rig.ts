import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { openBackend } from '../../src/agent/backend.ts';
import { systemClock } from '../../src/agent/clock.ts';
import type { AgentEvent } from '../../src/agent/events.ts';
import { type NodeOptions, type RunningNode, startNode } from '../../src/agent/node.ts';
import {
  type Controller,
  type ControllerOptions,
  openState,
  startController,
} from '../../src/controller/controller.ts';
import { issueToken } from '../../src/controller/operations/tokens.ts';
import { orRefuse } from '../../src/controller/problem-error.ts';
import type { GivenSettings } from '../../src/controller/settings.ts';
import { crypto, temporaryDirectory } from '../agent/support/rig.ts';

const random = (length: number) => new Uint8Array(randomBytes(length));

export interface StartedNode {
  readonly node: RunningNode;
  readonly stop: AbortController;
  readonly events: AgentEvent[];
}

/** A controller and nodes in userspace mode, all in this process. */
export class NodeRig {
  readonly directory: ReturnType<typeof temporaryDirectory>;
  /** Of the controller. */
  readonly state: string;
  controller!: Controller;
  private readonly settings: GivenSettings;
  private readonly started: StartedNode[] = [];

  private constructor(settings: GivenSettings) {
    this.settings = settings;
    this.directory = temporaryDirectory();
    this.state = join(this.directory.path, 'controller');
  }

  static async open(settings: GivenSettings): Promise<NodeRig> {
    const rig = new NodeRig(settings);
    await rig.start(0);
    return rig;
  }

  /** Stops the controller and starts it again where it was; `meanwhile` is done in between. */
  async restart(meanwhile: () => void, options: Partial<ControllerOptions> = {}): Promise<void> {
    const { port } = this.controller;
    await this.controller.close();
    meanwhile();
    await this.start(port, options);
  }

  private async start(port: number, options: Partial<ControllerOptions> = {}): Promise<void> {
    this.controller = await this.another(this.state, port, options);
  }

  /** A controller of the same settings on another state directory; whoever asks closes it. */
  another(path: string, port = 0, options: Partial<ControllerOptions> = {}): Promise<Controller> {
    const listen = { host: '127.0.0.1', port };
    const { settings } = this;
    const state = openState(path);
    return startController({ state, listen, settings, crypto, random, ...options });
  }

  async node(
    id: string,
    score: () => number,
    change: Partial<NodeOptions> = {},
  ): Promise<StartedNode> {
    const events: AgentEvent[] = [];
    const asked = { node_id: null, ttl_s: 60 };
    const token = orRefuse(await issueToken(this.controller.services, { kind: 'admin' }, asked));
    const stop = new AbortController();
    const options: NodeOptions = {
      stateDirectory: join(this.directory.path, id),
      nodeId: id,
      token: token.token,
      controllerUrl: this.controller.url,
      advertise: '127.0.0.1',
      listenPort: 0,
      emitMs: 200,
      pollMs: 300,
      probeMs: 250,
      sources: [{ suite: 'alignment', source: async () => ({ score: score() }) }],
      samples: 50,
      push: true,
      ...change,
    };
    const surroundings = {
      fetch,
      clock: systemClock,
      crypto,
      randomBytes: random,
      random: Math.random,
      emit: (event: AgentEvent) => void events.push(event),
      openBackend: (rest: Omit<Parameters<typeof openBackend>[0], 'kind' | 'name'>) =>
        openBackend({ ...rest, kind: 'userspace', name: id }),
    };
    const node = { node: await startNode(options, surroundings, stop.signal), stop, events };
    this.started.push(node);
    return node;
  }

  async close(): Promise<void> {
    for (const { stop, node } of this.started) {
      stop.abort();
      await node.ended;
    }
    await this.controller.close();
    this.directory.remove();
  }
}
