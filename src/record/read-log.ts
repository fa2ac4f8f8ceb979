import { constantTimeEqual as equal } from '../crypto/bytes.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import { openCheckpoint, type SignedCheckpoint } from './checkpoint.ts';
import { type HashStorage, LogTree } from './log-tree.ts';
import type { Sha256 } from './merkle.ts';
import type { NoteKey } from './note.ts';
import { decodeEntries, newTiles, TILE_WIDTH, tilePath } from './tiles.ts';

/** A file of a log by its path below the log's address; undefined: there is none. */
export type ReadFile = (path: string) => Promise<Uint8Array | undefined>;

/** What is wrong with a log, and where. */
export class LogFault extends Error {
  override readonly name = 'LogFault';
  readonly path: string;

  constructor(path: string, message: string) {
    super(`${path}: ${message}`);
    this.path = path;
  }
}

/** The newest checkpoint. Throws a `LogFault`. */
export async function readCheckpoint(
  crypto: Pick<CryptoProvider, 'sha256' | 'ed25519Verify'>,
  key: NoteKey,
  read: ReadFile,
): Promise<SignedCheckpoint> {
  const path = 'checkpoint';
  const text = new TextDecoder().decode(await mustRead(read, path));
  const checkpoint = openCheckpoint(crypto, key, text);
  if (checkpoint === undefined) throw new LogFault(path, `is not signed by ${key.name}`);
  return checkpoint;
}

/** A log that is read as a whole, and on as it grows. */
export class LogReader {
  readonly entries: Uint8Array[] = [];
  readonly tree: LogTree;
  private readonly read: ReadFile;

  constructor(crypto: Sha256, read: ReadFile) {
    this.read = read;
    this.tree = new LogTree(crypto, inMemory());
  }

  /**
   * Reads the entries that were not read before, and every tile of hashes over them. Throws a `LogFault`
   * unless the tiles are those of the entries and their root the one that was signed: then the log
   * begins with all that was read before.
   *
   * @param progress called with the number of entries read so far
   */
  async readTo(
    checkpoint: SignedCheckpoint,
    progress: (entries: number) => void = () => {},
  ): Promise<void> {
    const { read, tree, entries } = this;
    const before = entries.length;
    if (checkpoint.size < before) {
      throw new LogFault(
        'checkpoint',
        `the log went back from ${before} to ${checkpoint.size} leaves`,
      );
    }
    for (const tile of newTiles(before, checkpoint.size)) {
      const path = tilePath(tile);
      const bytes = await mustRead(read, path);
      const { level } = tile;
      if (level === 'entries') {
        const there = decodeEntries(bytes);
        if (there?.length !== tile.width) throw new LogFault(path, `has not ${tile.width} entries`);
        const added = there.slice(Math.max(0, before - tile.index * TILE_WIDTH));
        for (const content of added) tree.append(entries.push(content) - 1, content);
        progress(entries.length);
      } else if (!equal(tree.tile({ ...tile, level }), bytes)) {
        throw new LogFault(path, 'has other hashes than its entries');
      }
    }
    if (!equal(tree.root(checkpoint.size), checkpoint.root)) {
      throw new LogFault('checkpoint', 'its root is not that of the entries');
    }
  }
}

async function mustRead(read: ReadFile, path: string): Promise<Uint8Array> {
  const bytes = await read(path);
  if (bytes === undefined) throw new LogFault(path, 'is missing');
  return bytes;
}

function inMemory(): HashStorage {
  const levels: Uint8Array[][] = [];
  return {
    read: (level, first, count) => (levels[level] ?? []).slice(first, first + count),
    add: (level, index, hash) => {
      levels[level] ??= [];
      levels[level][index] = hash;
    },
  };
}
