import { constants, deflateRawSync } from 'node:zlib';
import type { MeshView } from './documents.ts';
import { meshDelta } from './mesh-view.ts';

/** How often (ms) the mesh is looked at while somebody watches. */
const LOOK_MS = 1000;
/** Something is said at least this often, so that a page notices when nobody is there any more, ms. */
const HEARTBEAT_MS = 5000;
/** Pages at once: in all, and of one who signed in. */
export const MAX_READERS = 64;
export const MAX_PER_HOLDER = 12;
/** A page that has left this much (bytes) unread gets no more until it has read; then the whole. */
const MAX_BACKLOG = 256 << 10;
/** One that does not read for so long (ms) is let go of; it asks anew by itself. */
const PATIENCE_MS = 60_000;

/**
 * What begins a gzip stream of events (RFC 1952, section 2.3). It has no end: it ends with the connection.
 */
export const GZIP_HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);

/**
 * One event, written and compressed once for however many read it: as blocks of a deflate stream that
 * refer to nothing before them, so that they fit behind whatever events a reader has had.
 */
export class LiveEvent {
  readonly text: string;
  private blocks: Buffer | undefined;

  constructor(name: string, data: object | number) {
    this.text = `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
  }

  get compressed(): Buffer {
    this.blocks ??= deflateRawSync(this.text, { finishFlush: constants.Z_FULL_FLUSH });
    return this.blocks;
  }
}

/** One page's event stream. */
export interface LiveReader {
  /** Bytes written and not taken. */
  readonly backlog: number;
  write(event: LiveEvent): void;
  end(): void;
}

/** Tells pages what changes: to each the whole at first, then only differences. */
export class LiveFeed {
  private readonly look: () => Promise<MeshView>;
  private readonly onError: (error: unknown) => void;
  private readonly now: () => number;
  /** With the time since when it does not read, if so. */
  private readonly readers = new Map<LiveReader, number | undefined>();
  private readonly places = new Set<{ readonly holder: string | undefined }>();
  private timer: NodeJS.Timeout | undefined;
  private looking: Promise<void> | undefined;
  private told: MeshView | undefined;
  /** All of `told`, once somebody needed it. */
  private whole: LiveEvent | undefined;
  private toldAt = 0;

  constructor(
    look: () => Promise<MeshView>,
    onError: (error: unknown) => void,
    now = () => performance.now(),
  ) {
    this.look = look;
    this.onError = onError;
    this.now = now;
  }

  /**
   * Takes a place for a page of `holder` (undefined: nobody signed in), before it is a reader; the
   * function returned gives it back. Undefined: there is none.
   */
  takePlace(holder: string | undefined): (() => void) | undefined {
    const own = holder === undefined ? 0 : this.placesOf(holder);
    if (this.places.size >= MAX_READERS || own >= MAX_PER_HOLDER) return undefined;
    const place = { holder };
    this.places.add(place);
    return () => void this.places.delete(place);
  }

  private placesOf(holder: string): number {
    return [...this.places].filter((one) => one.holder === holder).length;
  }

  /** Adds a reader; the function returned takes it away. */
  async add(reader: LiveReader): Promise<() => void> {
    do
      await this.tell(); // the others, too: what this one gets is what they have
    while (this.told === undefined); // the last of them left meanwhile
    reader.write(this.wholeOf(this.told));
    this.readers.set(reader, undefined);
    this.timer ??= setInterval(() => void this.tell().catch(this.onError), LOOK_MS).unref();
    return () => {
      this.readers.delete(reader);
      if (this.readers.size === 0) this.rest();
    };
  }

  close(): void {
    for (const reader of this.readers.keys()) reader.end();
    this.readers.clear();
    this.rest();
  }

  /** Looks, and tells the readers what is new. Whoever asks meanwhile gets the same look. */
  tell(): Promise<void> {
    this.looking ??= this.lookOnce().finally(() => {
      this.looking = undefined;
    });
    return this.looking;
  }

  private rest(): void {
    clearInterval(this.timer);
    this.timer = undefined;
    this.know(undefined);
  }

  private know(view: MeshView | undefined): void {
    this.told = view;
    this.whole = undefined;
  }

  private wholeOf(view: MeshView): LiveEvent {
    this.whole ??= new LiveEvent('mesh', view);
    return this.whole;
  }

  private async lookOnce(): Promise<void> {
    const seen = await this.look();
    const delta = this.told && meshDelta(this.told, seen);
    this.know(seen);
    if (delta !== undefined) this.send(new LiveEvent('delta', delta), seen);
    else if (this.now() - this.toldAt > HEARTBEAT_MS) {
      this.send(new LiveEvent('still', seen.now), seen);
    }
  }

  private send(event: LiveEvent, view: MeshView): void {
    this.toldAt = this.now();
    for (const [reader, since] of this.readers) {
      const { backlog } = reader;
      if (since !== undefined && backlog === 0) {
        reader.write(this.wholeOf(view));
        this.readers.set(reader, undefined);
      } else if (since !== undefined || backlog > MAX_BACKLOG) {
        this.readers.set(reader, since ?? this.toldAt);
        if (this.toldAt - (since ?? this.toldAt) > PATIENCE_MS) reader.end();
      } else {
        reader.write(event);
      }
    }
  }
}
