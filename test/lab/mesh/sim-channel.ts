import type { Fetch } from '../../../src/agent/http-calls.ts';
import type { ConfigDocument } from '../../../src/contract/config.ts';
import type { Envelope } from '../../../src/contract/envelope.ts';
import { HEADER_EVENT_NAME, type HeaderDocument } from '../../../src/contract/epoch/header.ts';
import { KEYS_EVENT_NAME, type KeysAnswer } from '../../../src/contract/epoch/keys-answer.ts';
import type { LeaseDocument } from '../../../src/contract/epoch/lease.ts';
import type { SealsDocument } from '../../../src/contract/epoch/seals.ts';
import type { StreamEvent } from '../../../src/contract/stream-event.ts';
import { CARRIED, type Carried } from './schedule.ts';
import type { SimAnswer, SimController, SimRequest } from './sim-controller.ts';
import type { SimWorld } from './sim-world.ts';

/** What becomes of what nodes and controller say to each other. Probabilities 0..1, times in ms. */
export interface ChannelFaults {
  /** A call, or its answer, never arrives. */
  callLoss: number;
  /** An event never arrives, while the stream goes on. */
  eventLoss: number;
  /** Each message takes up to this long, so that calls and events overtake each other. */
  maxDelay: number;
}

export const PERFECT_CHANNEL: ChannelFaults = { callLoss: 0, eventLoss: 0, maxDelay: 5 };

/** Who is told of what has come in at a node. */
export interface Listener {
  /** `sentAt`: simulated ms at which the answered request left. */
  configArrived(nodeId: string, document: ConfigDocument, sentAt: number): void;
  eventArrived(nodeId: string, event: StreamEvent): void;
  /** `sentAt`: simulated ms at which the request that it answers left. */
  leaseArrived(nodeId: string, lease: LeaseDocument, sentAt: number): void;
  headerArrived(nodeId: string, header: HeaderDocument): void;
  /** All that a node needs to take up the keys of an epoch. */
  keysArrived(nodeId: string, seals: SealsDocument): void;
}

/** One run of a node's process: its end of the channel. */
export interface ChannelUser {
  readonly nodeId: string;
  /** Runs `work` once the node's machine is awake; never if the process is gone by then. */
  whenAwake(work: () => void): void;
}

/** The network between nodes and controller. Streams keep their order, as TCP does. */
export class SimChannel {
  faults: ChannelFaults = { ...PERFECT_CHANNEL };
  /**
   * Nodes that the controller cannot be reached from. True: their calls fail at once, and what
   * streams carry meanwhile comes later; false: calls go unanswered, and it never comes.
   */
  readonly cut = new Map<string, boolean>();
  /** What somebody on the way does to one kind of what a node is sent. */
  readonly tampering = new Map<string, { what: Carried; how: 'withhold' | 'replay' }>();
  /** The last of its kind that came through, by node and kind: what is given again. */
  private readonly recorded = new Map<string, unknown>();
  /** Writes to the open stream of a node. */
  private readonly streams = new Map<string, (text: string) => void>();
  private readonly world: SimWorld;
  private readonly controller: SimController;
  private readonly listener: Listener;
  private readonly randoms = new Map<string, () => number>();
  private readonly held = new Map<string, (() => void)[]>();

  constructor(world: SimWorld, controller: SimController, listener: Listener) {
    this.world = world;
    this.controller = controller;
    this.listener = listener;
  }

  heal(): void {
    this.cut.clear();
    this.tampering.clear();
    const held = [...this.held.values()].flat();
    this.held.clear();
    for (const work of held) work();
  }

  /** Puts an event into what a node reads, of which the listener is not told. */
  inject(nodeId: string, name: string, data: object): void {
    this.streams.get(nodeId)?.(`event: ${name}\nid: 0\ndata: ${JSON.stringify(data)}\n\n`);
  }

  fetchOf(user: ChannelUser): Fetch {
    return (target, init) =>
      new Promise((resolve, reject) => {
        const signal = init.signal!;
        const sentAt = this.world.simulation.now;
        const fail = () => reject(new DOMException('aborted', 'AbortError'));
        if (signal.aborted) return fail();
        signal.addEventListener('abort', fail, { once: true });
        const { host, pathname, search } = new URL(target);
        const request: SimRequest = {
          method: init.method ?? 'GET',
          authority: host,
          path: pathname,
          query: search || '?',
          headers: Object.fromEntries(new Headers(init.headers)),
          body: String(init.body ?? ''),
        };
        const refuse = () =>
          reject(new TypeError('fetch failed', { cause: { code: 'ECONNREFUSED' } }));
        if (this.cut.get(user.nodeId) === true) return refuse();
        this.travel(user, () => {
          if (signal.aborted) return;
          if (!this.controller.isUp) return this.travel(user, () => user.whenAwake(refuse));
          if (pathname.startsWith('/v1/stream/')) {
            return this.openStream(user, request, signal, resolve, refuse);
          }
          void this.controller.answer(request).then(
            (answer) =>
              this.travel(user, () => {
                user.whenAwake(() => {
                  if (signal.aborted) return;
                  if (answer === undefined) return refuse();
                  const given = this.given(user, kindOf(pathname), answer);
                  if (given === undefined) return;
                  const isItself = given === answer;
                  if (isItself && answer.status === 200)
                    this.arrived(user, pathname, answer, sentAt);
                  resolve(responseOf(given));
                });
              }),
            (error: unknown) => void this.world.failures.push(error),
          );
        });
      });
  }

  private openStream(
    user: ChannelUser,
    request: SimRequest,
    signal: AbortSignal,
    resolve: (response: Response) => void,
    refuse: () => void,
  ): void {
    let isOpen = true;
    let arrivedAt = 0;
    /** What the controller writes before the answer's headers are on their way. */
    const greeting: (() => void)[] = [];
    let isAnswered = false;
    let reader!: ReadableStreamDefaultController<Uint8Array>;
    /** In order, whatever the delays. */
    const arrive = (work: () => void) => {
      if (!isAnswered) return void greeting.push(() => arrive(work));
      const { simulation } = this.world;
      arrivedAt = Math.max(arrivedAt, simulation.now + this.delay(user));
      const deliver = () => {
        if (this.cut.get(user.nodeId) === false) return;
        if (this.cut.get(user.nodeId) === true) {
          const waiting = this.held.get(user.nodeId) ?? [];
          this.held.set(user.nodeId, waiting);
          waiting.push(() => this.world.after(0, deliver));
        } else {
          user.whenAwake(() => {
            if (isOpen) work();
          });
        }
      };
      this.world.after(arrivedAt - simulation.now, deliver);
    };
    const enqueue = (text: string) => reader.enqueue(new TextEncoder().encode(text));
    this.streams.set(user.nodeId, (text) => arrive(() => enqueue(text)));
    const answer = this.controller.stream(request, {
      backlog: 0,
      write: (text) => {
        const events = [...text.matchAll(/^event: (.*)\nid: .*\ndata: (.*)$/gm)];
        if (events.length > 0 && this.chance(user, this.faults.eventLoss)) return;
        const before = events.length > 0 ? this.given(user, 'push', text) : text;
        if (before === undefined) return;
        arrive(() => {
          for (const [, name, data] of events) this.pushed(user, name!, JSON.parse(data!));
          enqueue(text);
          if (before !== text) enqueue(before);
        });
      },
      end: () =>
        arrive(() => {
          isOpen = false;
          reader.close();
        }),
    });
    const isRefused = answer === undefined || 'status' in answer;
    if (isRefused) {
      const answered = () => (answer === undefined ? refuse() : resolve(responseOf(answer)));
      this.travel(user, () => user.whenAwake(answered));
      return;
    }
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        reader = controller;
      },
      cancel: () => {
        isOpen = false;
        this.travel(user, answer.ended);
      },
    });
    signal.addEventListener('abort', () => {
      if (!isOpen) return;
      isOpen = false;
      reader.error(new DOMException('aborted', 'AbortError'));
      this.travel(user, answer.ended);
    });
    const headers = { 'content-type': 'text/event-stream' };
    isAnswered = true;
    arrive(() => resolve(new Response(body, { headers })));
    for (const work of greeting) work();
  }

  /** What a node gets in the place of `sent`: that, an earlier one of its kind, or (undefined) nothing. */
  private given<T>({ nodeId }: ChannelUser, what: Carried | undefined, sent: T): T | undefined {
    if (what === undefined) return sent;
    const tampering = this.tampering.get(nodeId);
    if (tampering?.what !== what) {
      this.recorded.set(`${nodeId} ${what}`, sent);
      return sent;
    }
    if (tampering.how === 'withhold') return undefined;
    return (this.recorded.get(`${nodeId} ${what}`) as T | undefined) ?? sent;
  }

  private arrived(user: ChannelUser, path: string, { body }: SimAnswer, sentAt: number): void {
    const { nodeId } = user;
    const value = () => JSON.parse(String(body));
    if (path.startsWith('/v1/config/')) {
      this.listener.configArrived(nodeId, payloadOf<ConfigDocument>(value()), sentAt);
    } else if (path.startsWith('/v1/lease/')) {
      this.listener.leaseArrived(nodeId, payloadOf<LeaseDocument>(value()), sentAt);
    } else if (path === '/v1/header') {
      this.pushed(user, HEADER_EVENT_NAME, value());
    } else if (path.startsWith('/v1/keys/')) {
      this.pushed(user, KEYS_EVENT_NAME, value());
    }
  }

  private pushed({ nodeId }: ChannelUser, name: string, value: unknown): void {
    if (name === KEYS_EVENT_NAME) {
      const { seals } = value as KeysAnswer;
      this.listener.keysArrived(nodeId, payloadOf<SealsDocument>(seals));
    } else if (name === HEADER_EVENT_NAME) {
      this.listener.headerArrived(nodeId, payloadOf<HeaderDocument>(value as Envelope));
    } else {
      this.listener.eventArrived(nodeId, payloadOf<StreamEvent>(value as Envelope));
    }
  }

  /** One message on its way; it may never arrive. */
  private travel(user: ChannelUser, arrived: () => void): void {
    if (this.chance(user, this.faults.callLoss)) return;
    this.world.after(this.delay(user), () => {
      if (!this.cut.has(user.nodeId)) arrived();
    });
  }

  private delay(user: ChannelUser): number {
    return 0.5 + this.random(user)() * this.faults.maxDelay;
  }

  private chance(user: ChannelUser, probability: number): boolean {
    return this.random(user)() < probability;
  }

  private random({ nodeId }: ChannelUser): () => number {
    const known = this.randoms.get(nodeId);
    if (known !== undefined) return known;
    const random = this.world.random(`channel ${nodeId}`);
    this.randoms.set(nodeId, random);
    return random;
  }
}

function kindOf(path: string): Carried | undefined {
  return CARRIED.find((what) => path.startsWith(`/v1/${what}`));
}

function responseOf({ status, headers, body }: SimAnswer): Response {
  return new Response(status === 304 ? null : new Uint8Array(Buffer.from(body)), {
    status,
    headers,
  });
}

function payloadOf<T>(envelope: Envelope): T {
  return JSON.parse(Buffer.from(envelope.payload, 'base64').toString()) as T;
}
