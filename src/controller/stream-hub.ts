import { toBase64 } from '../contract/encoding.ts';
import { type Envelope, PAYLOAD_TYPES, signEnvelope } from '../contract/envelope.ts';
import { HEADER_EVENT_NAME } from '../contract/epoch/header.ts';
import { Histogram } from '../contract/prometheus.ts';
import {
  STREAM_EVENT_NAME,
  STREAM_HEARTBEAT_S,
  type StreamEvent,
} from '../contract/stream-event.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import type { ControllerClock } from './clock.ts';

/** Unsent bytes at which a reader that does not read is cut off; it comes back by itself. */
const MAX_BACKLOG = 256 * 1024;

/** The sending end of one node's event stream. */
export interface StreamSink {
  /** Bytes not yet taken by the network. */
  readonly backlog: number;
  write(text: string): void;
  end(): void;
}

/** What a push says. */
export interface PublishedEpoch {
  readonly epoch: number;
  readonly version: number;
  /** Ids of those who are no members any more. */
  readonly removed: readonly string[];
}

/** How an epoch was written to all streams. */
export interface Push {
  readonly epoch: number;
  readonly version: number;
  readonly ms: number;
}

interface Stream {
  readonly sink: StreamSink;
  /** Controller's clock, ms: when its node last signed a request. */
  seenAt: number;
}

export interface StreamHubOptions {
  readonly crypto: CryptoProvider;
  readonly clock: ControllerClock;
  readonly meshId: Uint8Array;
  readonly signingSeed: Uint8Array;
  /** A node that signed no request for this long is gone, whatever its connection says, s. */
  readonly silenceS: number;
}

/** One live stream per node; every epoch is signed once and written to all. */
export class StreamHub {
  /** Time that it took to write an epoch to all. */
  readonly pushes = new Histogram();
  /** The newest of them. */
  lastPush: Push | undefined;

  private readonly options: StreamHubOptions;
  private readonly streams = new Map<string, Stream>();
  private cancelHeartbeat: () => void = () => {};
  /** The newest event, for who connects later. */
  private last = '';

  constructor(options: StreamHubOptions) {
    this.options = options;
    this.heartbeat();
  }

  get size(): number {
    return this.streams.size;
  }

  /**
   * Adds a node's stream in place of the one it had: its request was fresh and signed, so the old
   * one is half-open at best. Returns what to call when the stream has ended.
   */
  add(nodeId: string, sink: StreamSink): () => void {
    this.drop(nodeId);
    const stream = { sink, seenAt: this.options.clock.now() };
    this.streams.set(nodeId, stream);
    if (this.last !== '') sink.write(this.last);
    return () => {
      if (this.streams.get(nodeId) === stream) this.streams.delete(nodeId);
    };
  }

  /** The node signed a request: it is there. */
  seen(nodeId: string): void {
    const stream = this.streams.get(nodeId);
    if (stream) stream.seenAt = this.options.clock.now();
  }

  /** Ends the stream of a node, if it has one. */
  drop(nodeId: string): void {
    const stream = this.streams.get(nodeId);
    this.streams.delete(nodeId);
    stream?.sink.end();
  }

  /** `header`: the signed header of that epoch; undefined where it has none. */
  publish(epoch: PublishedEpoch, header?: Envelope): Envelope {
    const started = performance.now();
    const { crypto, clock, meshId, signingSeed } = this.options;
    const event: StreamEvent = {
      mesh_id: toBase64(meshId),
      audience: 'members',
      epoch: epoch.epoch,
      version: epoch.version,
      issued_at: clock.now(),
      removed: epoch.removed,
    };
    const envelope = signEnvelope(crypto, signingSeed, PAYLOAD_TYPES.streamEvent, event);
    const id = `${epoch.epoch}.${epoch.version}`;
    this.last = eventText(STREAM_EVENT_NAME, id, envelope);
    if (header) this.last += eventText(HEADER_EVENT_NAME, id, header);
    this.broadcast(this.last);
    const ms = performance.now() - started;
    this.pushes.observe(ms / 1000);
    this.lastPush = { epoch: epoch.epoch, version: epoch.version, ms };
    return envelope;
  }

  has(nodeId: string): boolean {
    return this.streams.has(nodeId);
  }

  /** An event for one node, if it has a stream. */
  send(nodeId: string, name: string, id: string, data: object): void {
    const stream = this.streams.get(nodeId);
    if (stream) this.write(nodeId, stream, eventText(name, id, data));
  }

  close(): void {
    this.cancelHeartbeat();
    for (const nodeId of [...this.streams.keys()]) this.drop(nodeId);
  }

  private heartbeat(): void {
    const { clock, silenceS } = this.options;
    this.cancelHeartbeat = clock.after(STREAM_HEARTBEAT_S * 1000, () => {
      // What is written to a peer that vanished stays in the kernel for minutes and tells nothing.
      // A node that is alive fetches its config before that runs out.
      const oldest = clock.now() - silenceS * 1000;
      for (const [nodeId, stream] of this.streams) if (stream.seenAt < oldest) this.drop(nodeId);
      this.broadcast(': heartbeat\n\n');
      this.heartbeat();
    });
  }

  private broadcast(text: string): void {
    for (const [nodeId, stream] of this.streams) this.write(nodeId, stream, text);
  }

  private write(nodeId: string, { sink }: Stream, text: string): void {
    if (sink.backlog > MAX_BACKLOG) this.drop(nodeId);
    else sink.write(text);
  }
}

function eventText(name: string, id: string, data: object): string {
  return `event: ${name}\nid: ${id}\ndata: ${JSON.stringify(data)}\n\n`;
}
