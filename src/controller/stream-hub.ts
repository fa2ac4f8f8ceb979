import { toBase64 } from '../contract/encoding.ts';
import { type Envelope, PAYLOAD_TYPES, signEnvelope } from '../contract/envelope.ts';
import {
  STREAM_EVENT_NAME,
  STREAM_HEARTBEAT_S,
  type StreamEvent,
} from '../contract/stream-event.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import type { ControllerClock } from './clock.ts';
import type { Epoch } from './epoch.ts';

/** Unsent bytes at which a reader that does not read is cut off; it comes back by itself. */
const MAX_BACKLOG = 256 * 1024;

/** The sending end of one node's event stream. */
export interface StreamSink {
  /** Bytes not yet taken by the network. */
  readonly backlog: number;
  write(text: string): void;
  end(): void;
}

/** One live stream per node; every epoch is signed once and written to all. */
export class StreamHub {
  private readonly sinks = new Map<string, StreamSink>();
  private readonly crypto: CryptoProvider;
  private readonly clock: ControllerClock;
  private readonly meshId: Uint8Array;
  private readonly signingSeed: Uint8Array;
  private cancelHeartbeat: () => void = () => {};
  /** The newest event, for who connects later. */
  private last = '';

  constructor(options: {
    crypto: CryptoProvider;
    clock: ControllerClock;
    meshId: Uint8Array;
    signingSeed: Uint8Array;
  }) {
    this.crypto = options.crypto;
    this.clock = options.clock;
    this.meshId = options.meshId;
    this.signingSeed = options.signingSeed;
    this.heartbeat();
  }

  get size(): number {
    return this.sinks.size;
  }

  /**
   * Adds a node's stream in place of the one it had: its request was fresh and signed, so the old
   * one is half-open at best. Returns what to call when the stream has ended.
   */
  add(nodeId: string, sink: StreamSink): () => void {
    this.sinks.get(nodeId)?.end();
    this.sinks.set(nodeId, sink);
    if (this.last !== '') sink.write(this.last);
    return () => {
      if (this.sinks.get(nodeId) === sink) this.sinks.delete(nodeId);
    };
  }

  /** Ends the stream of a node that was removed. */
  drop(nodeId: string): void {
    this.sinks.get(nodeId)?.end();
    this.sinks.delete(nodeId);
  }

  publish(epoch: Epoch): Envelope {
    const event: StreamEvent = {
      mesh_id: toBase64(this.meshId),
      audience: 'members',
      epoch: epoch.epoch,
      version: epoch.version,
      issued_at: this.clock.wall(),
      removed: epoch.removed,
    };
    const envelope = signEnvelope(this.crypto, this.signingSeed, PAYLOAD_TYPES.streamEvent, event);
    this.last = `event: ${STREAM_EVENT_NAME}\nid: ${epoch.epoch}.${epoch.version}\ndata: ${JSON.stringify(envelope)}\n\n`;
    this.broadcast(this.last);
    return envelope;
  }

  close(): void {
    this.cancelHeartbeat();
    for (const sink of this.sinks.values()) sink.end();
    this.sinks.clear();
  }

  private heartbeat(): void {
    this.cancelHeartbeat = this.clock.after(STREAM_HEARTBEAT_S * 1000, () => {
      this.broadcast(': heartbeat\n\n');
      this.heartbeat();
    });
  }

  private broadcast(text: string): void {
    for (const [nodeId, sink] of this.sinks) {
      if (sink.backlog > MAX_BACKLOG) {
        sink.end();
        this.sinks.delete(nodeId);
      } else {
        sink.write(text);
      }
    }
  }
}
