import { type Envelope, PAYLOAD_TYPES, signEnvelope } from '../../../src/contract/envelope.ts';
import type { HeaderDocument } from '../../../src/contract/epoch/header.ts';
import { controllerFingerprint } from '../../../src/contract/ids.ts';
import type { KeyRecord } from '../../../src/contract/key-record.ts';
import { type Problem, problem } from '../../../src/contract/problems.ts';
import { type Epoch, membersOf } from '../../../src/controller/epoch.ts';
import type { StampedEvent } from '../../../src/controller/events.ts';
import type { Arrival, NetworkRequest } from '../../../src/controller/operations/caller.ts';
import { openStream } from '../../../src/controller/operations/open-stream.ts';
import { readConfig } from '../../../src/controller/operations/read-config.ts';
import { readHeader } from '../../../src/controller/operations/read-header.ts';
import { readKeys } from '../../../src/controller/operations/read-keys.ts';
import { readLease } from '../../../src/controller/operations/read-lease.ts';
import { reportScore } from '../../../src/controller/operations/report-score.ts';
import { rotate } from '../../../src/controller/operations/rotate.ts';
import { orRefuse } from '../../../src/controller/problem-error.ts';
import { createServices, type Services } from '../../../src/controller/services.ts';
import type { Settings } from '../../../src/controller/settings.ts';
import { SqliteStore } from '../../../src/controller/store/sqlite-store.ts';
import type { StreamSink } from '../../../src/controller/stream-hub.ts';
import { keysSubscriber } from '../../../src/controller/subscribers/keys.ts';
import { defaultProvider } from '../../../src/crypto/select.ts';
import type { SimWorld } from './sim-world.ts';

const crypto = defaultProvider();
const ARRIVAL: Arrival = { from: '192.0.2.1', to: { address: '192.0.2.100', port: 8080 } };

export interface SimRequest {
  readonly method: string;
  readonly authority: string;
  readonly path: string;
  readonly query: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface SimAnswer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: string | Uint8Array;
}

/** Everything that a crash takes with it. */
interface Process {
  isAlive: boolean;
  /** It dies between the next commit and telling anybody, in one way or the other. */
  diesAtCommit: 'silently' | 'heard' | undefined;
  readonly services: Services;
}

/** The controller without its HTTP server: its operations are called on values instead of sockets. */
export class SimController {
  readonly meshId: Uint8Array;
  readonly publicKey: Uint8Array;
  /** Told of every epoch that is on the disk, before any node is. */
  onCommit: (epoch: number, members: Iterable<string>) => void = () => {};
  private readonly world: SimWorld;
  private readonly settings: Settings;
  private readonly seed: Uint8Array;
  private readonly random: (length: number) => Uint8Array;
  /** The disk. */
  private readonly store = new SqliteStore(':memory:');
  private process: Process | undefined;

  constructor(world: SimWorld, settings: Settings) {
    this.world = world;
    this.settings = settings;
    this.random = world.randomBytes('controller');
    this.seed = this.random(32);
    this.publicKey = crypto.ed25519Public(this.seed);
    this.meshId = controllerFingerprint(crypto, this.publicKey);
  }

  get isUp(): boolean {
    return this.process !== undefined;
  }

  /** The epoch in force, as the controller on duty knows it. */
  get epoch(): Epoch | undefined {
    return this.process?.services.governor.current;
  }

  get members(): ReadonlyMap<string, number> {
    return membersOf(this.epoch);
  }

  async enrol(key: KeyRecord, record: Envelope, endpoint: string, address: string): Promise<void> {
    const { nodeId, wireguard, signing, sealing } = key;
    const enrolledAt = Math.floor(this.world.wall());
    const expiresAt = enrolledAt + 1000;
    const token = { id: nodeId, secret: this.random(32), nodeId, expiresAt, usesLeft: 1 };
    await this.store.addToken(token, 0);
    const node = { nodeId, record, wireguard, signing, sealing, endpoint, enrolledAt };
    const { outcome } = await this.store.enrol(node, nodeId, [address]);
    if (outcome !== 'enrolled') throw new Error(outcome);
  }

  start(): void {
    if (this.process !== undefined) return;
    const { world, store, settings, random } = this;
    const process = { isAlive: true, diesAtCommit: undefined } as Process;
    const clock = {
      now: () => Math.floor(world.wall()),
      after(ms: number, run: () => void) {
        let isWanted = true;
        world.after(Math.ceil(ms), () => {
          if (isWanted && process.isAlive) run();
        });
        return () => {
          isWanted = false;
        };
      },
    };
    const services = createServices({
      keepPolicy: async () => {},
      store,
      settings,
      clock,
      crypto,
      random,
      signingSeed: this.seed,
      overload: { take: () => 0 },
      monotonic: () => world.simulation.now,
      onEvent: (event) => this.happened(process, event),
    });
    services.spine.subscribe(keysSubscriber(services));
    this.process = Object.assign(process, { services });
    world.now(() => void services.governor.start().catch(this.failed));
  }

  /** The process is gone at once; `silent`: the machine too, so that nobody's connection ends. */
  crash(silent: boolean): void {
    const { process } = this;
    if (process === undefined) return;
    process.isAlive = false;
    this.process = undefined;
    this.world.now(() => {
      if (!silent) process.services.streams.close();
    });
  }

  /** The next commit is its last act; `silent` as in `crash`. */
  dieAtCommit(silent: boolean): void {
    if (this.process !== undefined) this.process.diesAtCommit = silent ? 'silently' : 'heard';
  }

  rotate(): void {
    const { process, world } = this;
    if (process === undefined) return;
    const rotated = () => rotate(process.services, { kind: 'admin' }).then(orRefuse);
    world.now(() => void rotated().catch(this.failed));
  }

  /** Signs a header that is not the one of its epoch. */
  signHeader(document: HeaderDocument): Envelope {
    return signEnvelope(crypto, this.seed, PAYLOAD_TYPES.header, document);
  }

  async close(): Promise<void> {
    this.crash(true);
    await this.store.close();
  }

  /** Undefined: it crashed before it could answer. */
  async answer(request: SimRequest): Promise<SimAnswer | undefined> {
    const { process } = this;
    if (process === undefined) return undefined;
    const answer = await this.route(process, request);
    return process.isAlive ? answer : undefined;
  }

  /** Opens an event stream, or says why not. `sink` is its sending end. */
  stream(
    request: SimRequest,
    sink: StreamSink,
  ): { readonly ended: () => void } | SimAnswer | undefined {
    const { process } = this;
    if (process === undefined) return undefined;
    const write = (text: string) => {
      if (process.isAlive) sink.write(text);
    };
    const open = () => ({ backlog: 0, write, end: () => sink.end() });
    const call = { nodeId: nodeOf(request), request: networkRequest(request), open };
    const opened = openStream(process.services, call);
    return opened.ok ? { ended: opened.value } : this.refusal(opened.problem);
  }

  private async route(process: Process, request: SimRequest): Promise<SimAnswer> {
    const { services } = process;
    const nodeId = nodeOf(request);
    if (request.path.startsWith('/v1/benchmarks/')) {
      const { from } = ARRIVAL;
      const taken = await reportScore(services, { nodeId, body: JSON.parse(request.body), from });
      return taken.ok ? json(202, taken.value) : this.refusal(taken.problem);
    }
    if (request.path === '/v1/header') {
      const caller = {
        kind: 'network',
        isLocal: false,
        isPrivate: true,
        request: networkRequest(request),
      } as const;
      const epoch = new URLSearchParams(request.query).get('epoch');
      const header = await readHeader(services, caller, epoch === null ? undefined : Number(epoch));
      return header.ok ? json(200, header.value) : this.refusal(header.problem);
    }
    if (request.path.startsWith('/v1/pieces/')) {
      const bytes = services.views.piece(nodeId) ?? services.rosters.piece(nodeId);
      if (bytes === undefined) return this.refusal(problem('piece_unknown'));
      return { status: 200, headers: {}, body: bytes };
    }
    if (request.path.startsWith('/v1/lease/')) {
      const lease = await readLease(services, { nodeId, request: networkRequest(request) });
      return lease.ok ? json(200, lease.value) : this.refusal(lease.problem);
    }
    if (request.path.startsWith('/v1/keys/')) {
      const since = new URLSearchParams(request.query).get('since');
      const call = { nodeId, request: networkRequest(request) };
      const number = since === null ? undefined : Number(since);
      const keys = await readKeys(services, { ...call, since: number });
      return keys.ok ? json(200, keys.value) : this.refusal(keys.problem);
    }
    const read = await readConfig(services, {
      nodeId,
      request: networkRequest(request),
      knownEtag: request.headers['if-none-match'],
      isWanted: () => process.isAlive,
    });
    if (!read.ok) return this.refusal(read.problem);
    const { etag, config } = read.value;
    return config === undefined
      ? { status: 304, headers: { etag }, body: '' }
      : json(200, config, { etag });
  }

  private refusal(problem: Problem): SimAnswer {
    const { status } = problem;
    const time = status === 401 ? { server_time: Math.floor(this.world.wall()) } : {};
    return json(status, { ...problem, ...time });
  }

  private happened(process: Process, event: StampedEvent): void {
    if ('stack' in event) this.failed(new Error(event.stack));
    if (event.event !== 'epoch_committed') return;
    this.onCommit(event.epoch, event.members);
    if (process.diesAtCommit !== undefined) this.crash(process.diesAtCommit === 'silently');
  }

  private readonly failed = (error: unknown): void => {
    this.world.failures.push(error);
  };
}

function nodeOf({ path }: SimRequest): string {
  return path.split('/')[3]!;
}

/** The body is not signed: what is in it signs itself. */
function networkRequest({ body: _, ...request }: SimRequest): NetworkRequest {
  return { ...request, arrival: ARRIVAL };
}

function json(status: number, body: unknown, headers: Record<string, string> = {}): SimAnswer {
  return { status, headers, body: JSON.stringify(body) };
}
