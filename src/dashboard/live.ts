import type { MeshView } from './documents.ts';
import { meshDelta } from './mesh-view.ts';

/** How often (ms) the mesh is looked at while somebody watches. */
const LOOK_MS = 1000;
/** Something is said at least this often, so that a page notices when nobody is there any more, ms. */
const HEARTBEAT_MS = 5000;
/** Pages at once. */
export const MAX_READERS = 64;
/** Nodes in one event. */
const PIECE_NODES = 500;
/** A page that has left this much (bytes) unread is let go of; it asks anew by itself. */
const MAX_BACKLOG = 8 << 20;

/** One page's event stream. */
export interface LiveReader {
  /** Bytes written and not taken. */
  readonly backlog: number;
  write(text: string): void;
  end(): void;
}

/** Tells pages what changes: to each the whole at first, then only differences. */
export class LiveFeed {
  private readonly look: () => Promise<MeshView>;
  private readonly onError: (error: unknown) => void;
  private readonly readers = new Set<LiveReader>();
  private timer: NodeJS.Timeout | undefined;
  private told: MeshView | undefined;
  private toldAt = 0;
  private isLooking = false;

  constructor(look: () => Promise<MeshView>, onError: (error: unknown) => void) {
    this.look = look;
    this.onError = onError;
  }

  get isFull(): boolean {
    return this.readers.size >= MAX_READERS;
  }

  /** Adds a reader; the function returned takes it away. */
  async add(reader: LiveReader): Promise<() => void> {
    await this.tell(); // the others first: what this one gets is what they have
    this.told ??= await this.look();
    for (const piece of inPieces(this.told)) reader.write(piece);
    this.readers.add(reader);
    this.timer ??= setInterval(() => void this.tell(), LOOK_MS).unref();
    return () => {
      this.readers.delete(reader);
      if (this.readers.size === 0) this.rest();
    };
  }

  close(): void {
    for (const reader of this.readers) reader.end();
    this.readers.clear();
    this.rest();
  }

  private rest(): void {
    clearInterval(this.timer);
    this.timer = undefined;
    this.told = undefined;
  }

  private async tell(): Promise<void> {
    if (this.isLooking || this.readers.size === 0) return;
    this.isLooking = true;
    try {
      const seen = await this.look();
      const delta = this.told && meshDelta(this.told, seen);
      this.told = seen;
      if (delta !== undefined) this.send(event('delta', delta));
      else if (performance.now() - this.toldAt > HEARTBEAT_MS) this.send(event('still', seen.now));
    } catch (error) {
      this.onError(error);
    } finally {
      this.isLooking = false;
    }
  }

  private send(text: string): void {
    this.toldAt = performance.now();
    for (const reader of this.readers) {
      if (reader.backlog > MAX_BACKLOG) reader.end();
      else reader.write(text);
    }
  }
}

/** The first nodes as a mesh of its own, and the others as changes of it: a page shows what it has. */
function inPieces({ nodes, ...mesh }: MeshView): string[] {
  const pieces = [event('mesh', { ...mesh, nodes: nodes.slice(0, PIECE_NODES) })];
  for (let from = PIECE_NODES; from < nodes.length; from += PIECE_NODES) {
    const changed = nodes.slice(from, from + PIECE_NODES);
    pieces.push(event('delta', { now: mesh.now, changed, gone: [] }));
  }
  return pieces;
}

function event(name: string, data: object | number): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}
