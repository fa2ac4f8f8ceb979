import { STREAM_HEARTBEAT_S } from '../contract/stream-event.ts';
import { Backoff } from './backoff.ts';
import type { CallReports } from './call-reports.ts';
import type { AgentClock, RandomNumber } from './clock.ts';
import { CallError } from './controller-answer.ts';
import type { ControllerClient } from './controller-client.ts';
import { SseParser } from './sse.ts';

export interface EventStreamOptions {
  readonly client: ControllerClient;
  readonly nodeId: string;
  readonly signingSeed: Uint8Array;
  readonly clock: AgentClock;
  readonly random: RandomNumber;
  readonly calls: CallReports;
  /** Longest wait before it is opened again, ms. */
  readonly longestWaitMs: number;
  /** It was opened: what happened before that was not pushed. */
  readonly opened: () => void;
  /** The next event is read when this settles. */
  readonly event: (name: string, data: string, signal: AbortSignal) => Promise<void>;
}

/** A stream is given up after this many heartbeats have been missed (it may be half-open). */
const MISSED_HEARTBEATS = 3;
const FIRST_RETRY_MS = 250;

/** The controller's event stream, opened again whenever it ends or falls silent. */
export class EventStream {
  private readonly options: EventStreamOptions;
  private isOpen = false;

  constructor(options: EventStreamOptions) {
    this.options = options;
  }

  get connected(): boolean {
    return this.isOpen;
  }

  /** Runs until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, longestWaitMs } = this.options;
    const backoff = new Backoff(FIRST_RETRY_MS, longestWaitMs, random);
    while (!signal.aborted) {
      const openedAt = clock.monotonic();
      await this.one(signal);
      this.isOpen = false;
      if (clock.monotonic() - openedAt > longestWaitMs) backoff.reset();
      await clock.sleep(backoff.next(), signal);
    }
  }

  /** One stream from opening to its end; returns, never throws. */
  private async one(signal: AbortSignal): Promise<void> {
    const { client, nodeId, signingSeed, calls, opened } = this.options;
    const silence = new AbortController();
    const ended = AbortSignal.any([signal, silence.signal]);
    try {
      const stream = await client.openStream(nodeId, signingSeed, ended);
      calls.succeeded('stream');
      this.isOpen = true;
      opened();
      await this.read(stream, silence, signal);
      if (signal.aborted) return;
      throw new CallError(0, 'stream_ended', 'the controller ended the stream');
    } catch (error) {
      if (signal.aborted) return;
      const silent = new CallError(0, 'stream_silent', 'the stream carries no heartbeats any more');
      calls.failed('stream', silence.signal.aborted ? silent : error);
    }
  }

  private async read(
    stream: ReadableStream<Uint8Array>,
    silence: AbortController,
    signal: AbortSignal,
  ): Promise<void> {
    const { clock, event } = this.options;
    const parser = new SseParser();
    const decoder = new TextDecoder();
    let heard = new AbortController();
    const listen = () => {
      heard.abort();
      const mine = new AbortController();
      heard = mine;
      void clock.sleep(STREAM_HEARTBEAT_S * MISSED_HEARTBEATS * 1000, mine.signal).then(() => {
        if (!mine.signal.aborted) silence.abort();
      });
    };
    listen();
    try {
      for await (const chunk of stream) {
        listen();
        const items = parser.push(decoder.decode(chunk, { stream: true }));
        if (!items)
          throw new CallError(0, 'unexpected_answer', 'the stream is not an event stream');
        for (const item of items) {
          if (item.kind === 'event') await event(item.name, item.data, signal);
        }
      }
    } finally {
      heard.abort();
    }
  }
}
