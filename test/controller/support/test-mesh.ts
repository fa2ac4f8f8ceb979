import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { type IncomingHttpHeaders, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { pino } from 'pino';
import type { ConfigDocument } from '../../../src/contract/config.ts';
import type { Envelope } from '../../../src/contract/envelope.ts';
import type { EpochDocument } from '../../../src/contract/epoch.ts';
import { SIGNATURE_TAGS } from '../../../src/contract/http-signature.ts';
import type { Problem } from '../../../src/contract/problems.ts';
import { PROTOCOL_PARAMETER } from '../../../src/contract/protocol.ts';
import {
  type Controller,
  type ControllerOptions,
  openState,
  startController,
} from '../../../src/controller/controller.ts';
import type { GivenSettings } from '../../../src/controller/settings.ts';
import type { HistoryLimits } from '../../../src/controller/store/history-limits.ts';
import { defaultProvider } from '../../../src/crypto/select.ts';
import { SimClock, settled } from './sim-clock.ts';
import { TestNode } from './test-node.ts';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** One HTTP call, to a URL or to a path on a Unix socket. */
export function call(
  target: string | { readonly socketPath: string; readonly path: string },
  options: { method?: string; headers?: Record<string, string>; body?: unknown } = {},
): Promise<Answer> {
  const { method = 'GET', headers = {}, body } = options;
  const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
  const all = text === undefined ? headers : { 'content-type': 'application/json', ...headers };
  const more = { method, headers: all, agent: false as const };
  return new Promise((resolve, reject) => {
    const sent =
      typeof target === 'string' ? request(target, more) : request({ ...target, ...more });
    sent.on('error', reject);
    sent.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const { statusCode = 0, headers } = response;
        resolve({ status: statusCode, headers, text: Buffer.concat(chunks).toString() });
      });
    });
    sent.end(text);
  });
}

export function problemOf(answer: Answer): Problem {
  return JSON.parse(answer.text) as Problem;
}

export function payloadOf<T>(envelope: Envelope): T {
  return JSON.parse(Buffer.from(envelope.payload, 'base64').toString()) as T;
}

/** A controller in this process on a clock of the test's, with nodes that a test can play. */
export class TestMesh {
  readonly state: string;
  readonly clock: SimClock;
  /** Every line logged, by all starts. */
  readonly log: string[] = [];
  /** Every random value handed out: seeds, secrets, token parts. */
  readonly randoms: Uint8Array[] = [];
  controller!: Controller;
  private readonly settings: GivenSettings;

  private readonly history: HistoryLimits | undefined;

  private constructor(settings: GivenSettings, clock: SimClock, history?: HistoryLimits) {
    this.settings = settings;
    this.history = history;
    this.clock = clock;
    this.state = mkdtempSync(join(tmpdir(), 'meshnet-controller-'));
  }

  /** Without `history` nothing of the past is let go. */
  static async start(
    settings: GivenSettings = {},
    clock = new SimClock(),
    history?: HistoryLimits,
  ): Promise<TestMesh> {
    const mesh = new TestMesh(settings, clock, history);
    await mesh.open();
    return mesh;
  }

  async open(options: Partial<ControllerOptions> = {}): Promise<void> {
    this.controller = await startController({
      state: openState(this.state, this.history),
      listen: { host: '127.0.0.1', port: 0 },
      settings: this.settings,
      crypto: defaultProvider(),
      random: (length) => {
        const bytes = new Uint8Array(randomBytes(length));
        this.randoms.push(bytes.slice());
        return bytes;
      },
      clock: this.clock,
      logger: pino({ level: 'trace' }, { write: (line: string) => void this.log.push(line) }),
      ...options,
    });
    // What was signed in the second of the start is refused: it may be a replay.
    await this.clock.advance(1000);
  }

  /** Stops and starts again on the same state, as much later as the clock says. */
  /** `offline` is done to the state directory while no controller runs. */
  async restart(
    options: Partial<ControllerOptions> = {},
    meanwhile = 0,
    offline: (state: string) => Promise<unknown> = async () => {},
  ): Promise<void> {
    await this.controller.close();
    await offline(this.state);
    this.clock.early = 0;
    await this.clock.advance(meanwhile);
    await this.open(options);
  }

  async stop(): Promise<void> {
    await this.controller.close();
    rmSync(this.state, { recursive: true });
  }

  get url(): string {
    return this.controller.url;
  }

  get meshId(): Uint8Array {
    return this.controller.meshId;
  }

  admin(method: string, path: string, body?: unknown): Promise<Answer> {
    const options = body === undefined ? { method } : { method, body };
    return call({ socketPath: this.controller.adminSocket, path }, options);
  }

  async token(nodeId: string | null = null, ttl_s = 3600): Promise<string> {
    const answer = await this.admin('POST', '/v1/tokens', { node_id: nodeId, ttl_s });
    return (JSON.parse(answer.text) as { token: string }).token;
  }

  async enrol(nodeId: string, seed: number): Promise<TestNode> {
    const node = new TestNode(nodeId, seed);
    const body = node.enrolment(await this.token());
    const answer = await call(`${this.url}/v1/nodes`, { method: 'POST', body });
    if (answer.status !== 201) throw new Error(answer.text);
    await this.configCall(node); // as every node does first; whatever the answer
    return node;
  }

  post(nodeId: string, body: unknown): Promise<Answer> {
    return call(`${this.url}/v1/benchmarks/${nodeId}`, { method: 'POST', body });
  }

  /** The nodes report `score` now; throws if it is not taken. */
  async report(score: number, ...nodes: TestNode[]): Promise<void> {
    for (const node of nodes) {
      const body = node.score(this.meshId, score, this.clock.now());
      const answer = await this.post(node.nodeId, body);
      if (answer.status !== 202) throw new Error(answer.text);
    }
    await settled();
  }

  /** The node says where it can be reached. */
  move(node: TestNode, endpoint: string): Promise<Answer> {
    const url = `${this.url}/v1/nodes/${node.nodeId}/endpoint?endpoint=${encodeURIComponent(endpoint)}`;
    const headers = node.signed(url, SIGNATURE_TAGS.endpoint, this.clock.now(), { method: 'PUT' });
    return call(url, { method: 'PUT', headers });
  }

  configCall(node: TestNode, headers: Record<string, string> = {}, query = ''): Promise<Answer> {
    const url = `${this.url}/v1/config/${node.nodeId}${query}`;
    const signed = node.signed(url, SIGNATURE_TAGS.config, this.clock.now());
    return call(url, { headers: { ...signed, ...headers } });
  }

  /** `protocol`: what the node speaks; by default the first. */
  async config(node: TestNode, protocol?: number): Promise<ConfigDocument> {
    const query = protocol === undefined ? '' : `?${PROTOCOL_PARAMETER}=${protocol}`;
    const answer = await this.configCall(node, {}, query);
    if (answer.status !== 200) throw new Error(answer.text);
    return payloadOf<ConfigDocument>(JSON.parse(answer.text) as Envelope);
  }

  async epoch(): Promise<EpochDocument> {
    return JSON.parse((await this.admin('GET', '/v1/epoch')).text) as EpochDocument;
  }

  async rotate(): Promise<void> {
    const answer = await this.admin('POST', '/v1/rotate');
    if (answer.status !== 200) throw new Error(answer.text);
    await settled();
  }

  /** Ids of the members in force. */
  async members(): Promise<string[]> {
    const { nodes } = await this.epoch();
    return nodes.filter((node) => node.allowed).map((node) => node.node_id);
  }

  /** Everything in the database but the epoch, which time alone changes. */
  dump(): string {
    const database = (this.controller.services.store as unknown as { database: DatabaseSync })
      .database;
    const tables = [
      'mesh',
      'nodes',
      'node_keys',
      'reserved',
      'tokens',
      'access_tokens',
      'sequences',
      'scores',
    ];
    const rows = tables.map((table) => [table, database.prepare(`SELECT * FROM ${table}`).all()]);
    return JSON.stringify(rows, (_key, value) =>
      value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value,
    );
  }
}
