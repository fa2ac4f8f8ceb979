import { HASH_LENGTH, nodeHash, type Sha256, type Subtree } from './merkle.ts';

/**
 * The layout of C2SP tlog-tiles: the hashes of every eighth level of the tree, 256 to a tile, and the
 * leaves themselves, 256 to a bundle. A tile that is full never changes.
 */

/** Hashes of a full tile, entries of a full bundle; a tile has this many levels of the tree below it. */
export const TILE_WIDTH = 256;
const TILE_HEIGHT = 8;
/** Levels of tiles that a path may name: more than any log has. */
const MAX_LEVEL = 5;
/** A bundle's entries have a length of two bytes. */
export const MAX_ENTRY_LENGTH = 0xffff;

export interface Tile {
  /** `entries`, or the level counted in tiles: 0 holds the hashes of the leaves. */
  readonly level: number | 'entries';
  /** From the left. */
  readonly index: number;
  /** 1 to 256; less than 256: a partial tile. */
  readonly width: number;
}

/** Path below the log's address: `tile/0/x001/x234/067`, `tile/entries/000.p/5`. */
export function tilePath({ level, index, width }: Tile): string {
  let rest = Math.floor(index / 1000);
  let name = String(index % 1000).padStart(3, '0');
  for (; rest > 0; rest = Math.floor(rest / 1000)) {
    name = `x${String(rest % 1000).padStart(3, '0')}/${name}`;
  }
  return `tile/${level}/${name}${width === TILE_WIDTH ? '' : `.p/${width}`}`;
}

const PATH =
  /^tile\/(entries|[0-9]|[1-5][0-9]|6[0-3])\/((?:x\d{3}\/)*)(\d{3})(?:\.p\/([1-9]\d{0,2}))?$/;

/** The tile of a path; undefined if it is none, or not the one way to write it. */
export function parseTilePath(path: string): Tile | undefined {
  const match = PATH.exec(path);
  if (match === null) return undefined;
  const [, levelText, upper, lower, widthText] = match;
  const level: Tile['level'] = levelText === 'entries' ? levelText : Number(levelText);
  if (level !== 'entries' && level > MAX_LEVEL) return undefined;
  const index = Number(`${upper!.replace(/[x/]/g, '')}${lower}`);
  const tile = { level, index, width: Number(widthText ?? TILE_WIDTH) };
  return Number.isSafeInteger(index) && tilePath(tile) === path ? tile : undefined;
}

/** Hashes of that tile in a tree of `size` leaves, at most 256; 0: it has none. */
export function tileWidth(level: Tile['level'], index: number, size: number): number {
  const hashes = level === 'entries' ? size : Math.floor(size / TILE_WIDTH ** level);
  return Math.max(0, Math.min(TILE_WIDTH, hashes - index * TILE_WIDTH));
}

/** Every tile and bundle of a tree of `size` leaves that one of `oldSize` has not, or not as wide. */
export function newTiles(oldSize: number, size: number): Tile[] {
  const tiles: Tile[] = [];
  for (const level of ['entries', 0, 1, 2, 3, 4, 5] as const) {
    const span = TILE_WIDTH ** (level === 'entries' ? 1 : level + 1);
    for (let index = Math.floor(oldSize / span); ; index++) {
      const width = tileWidth(level, index, size);
      if (width === 0) break;
      if (width > tileWidth(level, index, oldSize)) tiles.push({ level, index, width });
    }
  }
  return tiles;
}

/** The tile that holds what is needed for a subtree's hash, in a tree of `size` leaves. */
export function tileOf({ level, index }: Subtree, size: number): Tile & { readonly level: number } {
  const tileLevel = Math.floor(level / TILE_HEIGHT);
  const firstHash = index * 2 ** (level % TILE_HEIGHT);
  const tileIndex = Math.floor(firstHash / TILE_WIDTH);
  return { level: tileLevel, index: tileIndex, width: tileWidth(tileLevel, tileIndex, size) };
}

/** The subtree's hash from its tile's bytes. Throws a RangeError if the tile is too short. */
export function hashFromTile(
  crypto: Sha256,
  { level, index }: Subtree,
  bytes: Uint8Array,
): Uint8Array {
  const count = 2 ** (level % TILE_HEIGHT);
  const first = (index * count) % TILE_WIDTH;
  if (bytes.length < (first + count) * HASH_LENGTH) {
    throw new RangeError(`the tile has ${bytes.length} bytes and not hash ${first + count - 1}`);
  }
  let hashes = Array.from({ length: count }, (_, i) =>
    bytes.subarray((first + i) * HASH_LENGTH, (first + i + 1) * HASH_LENGTH),
  );
  while (hashes.length > 1) {
    hashes = hashes
      .filter((_, i) => i % 2 === 0)
      .map((left, i) => nodeHash(crypto, left, hashes[2 * i + 1]!));
  }
  return hashes[0]!;
}

/** A bundle's bytes: each entry behind its length, two bytes, big-endian. */
export function encodeEntries(entries: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(entries.reduce((sum, entry) => sum + 2 + entry.length, 0));
  const view = new DataView(bytes.buffer);
  let offset = 0;
  for (const entry of entries) {
    if (entry.length > MAX_ENTRY_LENGTH) {
      throw new RangeError(`an entry of ${entry.length} bytes; at most ${MAX_ENTRY_LENGTH}`);
    }
    view.setUint16(offset, entry.length);
    bytes.set(entry, offset + 2);
    offset += 2 + entry.length;
  }
  return bytes;
}

/** The entries of a bundle; undefined if its bytes end in the middle of one. */
export function decodeEntries(bytes: Uint8Array): Uint8Array[] | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries: Uint8Array[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    if (offset + 2 > bytes.length) return undefined;
    const end = offset + 2 + view.getUint16(offset);
    if (end > bytes.length) return undefined;
    entries.push(bytes.slice(offset + 2, end));
    offset = end;
  }
  return entries;
}
