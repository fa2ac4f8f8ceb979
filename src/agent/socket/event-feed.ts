import type { ServerResponse } from 'node:http';
import type { AgentEvent, EmitEvent } from '../events.ts';

/** Most events that are remembered, and most readers that follow at a time. */
const CAPACITY = 500;
const MAX_READERS = 16;
/** Bytes that wait for a reader; what comes beyond is missed, and counted. */
const MAX_WAITING = 1 << 20;

/** So many, and each of so little interest, that people see them only if they ask. */
const ROUTINE: ReadonlySet<AgentEvent['event']> = new Set<AgentEvent['event']>(['probe', 'score']);

interface Reader {
  readonly to: ServerResponse;
  readonly routine: boolean;
  missed: number;
}

/** The node's newest events, as lines of JSON with their time, and whoever follows them. */
export class EventFeed {
  private readonly recent: string[] = [];
  private readonly readers = new Set<Reader>();
  private readonly now: () => number;

  /** `now`: wall clock, ms. */
  constructor(now: () => number) {
    this.now = now;
  }

  readonly emit: EmitEvent = (event) => {
    const isRoutine = ROUTINE.has(event.event);
    const line = `${JSON.stringify({ at: this.now(), ...event })}\n`;
    if (!isRoutine) {
      this.recent.push(line);
      if (this.recent.length > CAPACITY) this.recent.shift();
    }
    for (const reader of this.readers) if (reader.routine || !isRoutine) send(reader, line);
  };

  /** Oldest first, without routine ones. */
  get text(): string {
    return this.recent.join('');
  }

  /** Nobody else may follow at the moment. */
  get isFull(): boolean {
    return this.readers.size >= MAX_READERS;
  }

  /** Writes what has happened, and what happens until `to` closes. */
  follow(to: ServerResponse, routine: boolean): void {
    const reader: Reader = { to, routine, missed: 0 };
    this.readers.add(reader);
    to.on('close', () => this.readers.delete(reader));
    to.on('error', () => to.destroy());
    to.write(this.text);
    to.flushHeaders();
  }
}

/** A reader that does not read in time misses events, and a line says how many. */
function send(reader: Reader, line: string): void {
  const { to } = reader;
  if (to.writableLength > MAX_WAITING) {
    reader.missed++;
    return;
  }
  if (reader.missed > 0) {
    to.write(`${JSON.stringify({ event: 'missed', count: reader.missed })}\n`);
    reader.missed = 0;
  }
  to.write(line);
}
