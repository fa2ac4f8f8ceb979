import type { Envelope } from '../../../src/contract/envelope.ts';
import { SIGNATURE_TAGS, type SignatureTag } from '../../../src/contract/http-signature.ts';
import { controllerFingerprint } from '../../../src/contract/ids.ts';
import type { KeyRecord } from '../../../src/contract/key-record.ts';
import { protocolSpoken } from '../../../src/contract/protocol.ts';
import { Benchmarks } from '../../../src/controller/benchmarks.ts';
import { ConfigBuilder } from '../../../src/controller/config-builder.ts';
import { ConfigQueue } from '../../../src/controller/config-queue.ts';
import { type Epoch, membersOf } from '../../../src/controller/epoch.ts';
import { EpochHeaders } from '../../../src/controller/epoch-headers.ts';
import type { StampedEvent } from '../../../src/controller/events.ts';
import { Governor } from '../../../src/controller/governor.ts';
import { Presence } from '../../../src/controller/presence.ts';
import { orRefuse, ProblemError, refuse } from '../../../src/controller/problem-error.ts';
import { Receipts } from '../../../src/controller/receipts.ts';
import { RequestAuth } from '../../../src/controller/request-auth.ts';
import type { Settings } from '../../../src/controller/settings.ts';
import { EventSpine } from '../../../src/controller/spine.ts';
import { SqliteStore } from '../../../src/controller/store/sqlite-store.ts';
import type { NodeRecord } from '../../../src/controller/store/store.ts';
import { StreamHub, type StreamSink } from '../../../src/controller/stream-hub.ts';
import { pushSubscriber } from '../../../src/controller/subscribers/push.ts';
import { defaultProvider } from '../../../src/crypto/select.ts';
import type { SimWorld } from './sim-world.ts';

const crypto = defaultProvider();

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
  readonly body: string;
}

/** Everything that a crash takes with it. */
interface Process {
  isAlive: boolean;
  /** It dies between the next commit and telling anybody, in one way or the other. */
  diesAtCommit: 'silently' | 'heard' | undefined;
  readonly governor: Governor;
  readonly presence: Presence;
  readonly auth: RequestAuth;
  readonly benchmarks: Benchmarks;
  readonly configs: ConfigBuilder;
  readonly queue: ConfigQueue;
  readonly streams: StreamHub;
}

/**
 * The controller without its HTTP server: governor, policy, epoch keys, store, request signatures,
 * scores, configs and streams are the real ones; what routes/nodes.ts does with them is repeated
 * here on values instead of sockets.
 */
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
    return this.process?.governor.current;
  }

  get members(): ReadonlyMap<string, number> {
    return membersOf(this.epoch);
  }

  async enrol(key: KeyRecord, record: Envelope, endpoint: string, address: string): Promise<void> {
    const { nodeId, wireguard, signing, sealing } = key;
    const enrolledAt = Math.floor(this.world.wall());
    const expiresAt = enrolledAt + 1000;
    const token = { id: nodeId, secret: this.random(32), nodeId, expiresAt, usedBy: null };
    await this.store.addToken(token, 0);
    const node = { nodeId, record, wireguard, signing, sealing, endpoint, enrolledAt };
    const { outcome } = await this.store.enrol(node, nodeId, [address]);
    if (outcome !== 'enrolled') throw new Error(outcome);
  }

  start(): void {
    if (this.process !== undefined) return;
    const { world, store, settings, meshId, random } = this;
    const process = {} as { -readonly [K in keyof Process]: Process[K] };
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
    const spine = new EventSpine(clock.now);
    const { emit } = spine;
    const onError = (error: unknown) => void world.failures.push(error);
    spine.subscribeImmediately({
      name: 'world',
      handle: (event) => {
        if (event.event === 'epoch_committed') this.onCommit(event.epoch, event.members);
        if ('stack' in event) onError(new Error(event.stack));
        if (event.event !== 'epoch_committed' || process.diesAtCommit === undefined) return;
        this.crash(process.diesAtCommit === 'silently');
      },
    });
    const common = { store, settings, clock, crypto, meshId, emit };
    const presence = new Presence();
    const overload = { take: () => 0 };
    const headers = new EpochHeaders({ ...common, signingSeed: this.seed });
    const governor = new Governor({ ...common, presence, overload, headers, random });
    const signed = { ...common, governor, signingSeed: this.seed };
    const receipts = new Receipts(signed);
    Object.assign(process, {
      isAlive: true,
      diesAtCommit: undefined,
      governor,
      presence,
      auth: new RequestAuth(crypto, clock, receipts),
      benchmarks: new Benchmarks({ ...common, governor, receipts }),
      configs: new ConfigBuilder(signed),
      queue: new ConfigQueue(),
      streams: new StreamHub({ ...signed, silenceS: settings.lifetimeS }),
    } satisfies Process);
    const push = pushSubscriber(process.streams, () => process.governor.current?.header?.envelope);
    const handle = (event: StampedEvent) => {
      if (process.isAlive) push.handle(event);
    };
    spine.subscribeImmediately({ ...push, handle });
    this.process = process;
    world.now(() => void governor.start().catch(onError));
  }

  /** The process is gone at once; `silent`: the machine too, so that nobody's connection ends. */
  crash(silent: boolean): void {
    const { process } = this;
    if (process === undefined) return;
    process.isAlive = false;
    this.process = undefined;
    this.world.now(() => {
      if (!silent) process.streams.close();
    });
  }

  /** The next commit is its last act; `silent` as in `crash`. */
  dieAtCommit(silent: boolean): void {
    if (this.process !== undefined) this.process.diesAtCommit = silent ? 'silently' : 'heard';
  }

  rotate(): void {
    const { process, world } = this;
    if (process === undefined) return;
    world.now(() => void process.governor.rotate().catch((error) => world.failures.push(error)));
  }

  async close(): Promise<void> {
    this.crash(true);
    await this.store.close();
  }

  /** Undefined: it crashed before it could answer. */
  async answer(request: SimRequest): Promise<SimAnswer | undefined> {
    const { process } = this;
    if (process === undefined) return undefined;
    const answer = await this.route(process, request).catch((error) => this.problem(error));
    return process.isAlive ? answer : undefined;
  }

  /** Opens an event stream, or says why not. `sink` is its sending end. */
  stream(
    request: SimRequest,
    sink: StreamSink,
  ): { readonly ended: () => void } | SimAnswer | undefined {
    const { process } = this;
    if (process === undefined) return undefined;
    try {
      const { node } = this.signedBy(process, request, SIGNATURE_TAGS.stream);
      return { ended: process.streams.add(node.nodeId, sink) };
    } catch (error) {
      return this.problem(error);
    }
  }

  private async route(process: Process, request: SimRequest): Promise<SimAnswer> {
    const [, , kind, nodeId] = request.path.split('/') as [string, string, string, string];
    if (kind === 'benchmarks') {
      return json(202, orRefuse(await process.benchmarks.take(nodeId, JSON.parse(request.body))));
    }
    const { node, nonce } = this.signedBy(process, request, SIGNATURE_TAGS.config);
    const { configs, queue } = process;
    const etag = configs.etag(nodeId, servable(process).epoch);
    if (request.headers['if-none-match'] === etag) {
      return { status: 304, headers: { etag }, body: '' };
    }
    let newest = etag;
    const built = await queue.add(
      nodeId,
      () => process.isAlive,
      async () => {
        const now = servable(process);
        newest = configs.etag(nodeId, now.epoch);
        return configs.build(node, now, nonce, orRefuse(protocolSpoken(request.query)));
      },
    );
    if (built === undefined) refuse('overloaded');
    return json(200, built, { etag: newest });
  }

  private problem(error: unknown): SimAnswer {
    if (!(error instanceof ProblemError)) throw error;
    const { status } = error.problem;
    const time = status === 401 ? { server_time: Math.floor(this.world.wall()) } : {};
    return json(status, { ...error.problem, ...time });
  }

  private signedBy(
    process: Process,
    request: SimRequest,
    tag: SignatureTag,
  ): { node: NodeRecord; nonce: string } {
    const { method, authority, path, query, headers } = request;
    const parts = { method, authority, path, query };
    const nodeOfKey = (keyid: string) => process.governor.nodeOfKey(keyid);
    const signed = orRefuse(process.auth.verify(nodeOfKey, parts, headers, tag));
    process.streams.seen(signed.node.nodeId);
    process.presence.add(signed.node.nodeId);
    if (path.split('/')[3] !== signed.node.nodeId) refuse('wrong_node');
    return signed;
  }
}

function servable({ governor }: Process): NonNullable<Governor['servable']> {
  return governor.servable ?? refuse('not_ready');
}

function json(status: number, body: unknown, headers: Record<string, string> = {}): SimAnswer {
  return { status, headers, body: JSON.stringify(body) };
}
