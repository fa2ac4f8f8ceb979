import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fromBase64, toBase64 } from '../../../src/contract/encoding.ts';
import {
  type Leaf,
  type LeafEvent,
  leafBytes,
  parseLeaf,
} from '../../../src/contract/record/leaf.ts';
import {
  decodeLines,
  encodeBundle,
  parseVerdictRow,
  type VerdictRow,
  verdictRowBytes,
} from '../../../src/contract/record/verdict-row.ts';
import { nodeProvider as crypto } from '../../../src/crypto/node.ts';
import { parseCheckpoint, signCheckpoint } from '../../../src/record/checkpoint.ts';
import { LogTree } from '../../../src/record/log-tree.ts';
import { leafHash, MerkleTree } from '../../../src/record/merkle.ts';
import { decodeEntries, encodeEntries, newTiles, tilePath } from '../../../src/record/tiles.ts';

type Epoch = Extract<Leaf, { event: 'epoch' }>;

/**
 * What a controller that lies can make of an exported log: other content, under hashes and a
 * signature that are right, for it has the key.
 */
export class LyingLog {
  leaves: Leaf[];
  private readonly directory: string;
  private readonly origin: string;

  constructor(directory: string) {
    this.directory = directory;
    const { origin, size } = parseCheckpoint(
      this.text('checkpoint').split('\n\n')[0]!.concat('\n'),
    )!;
    this.origin = origin;
    this.leaves = newTiles(0, size)
      .filter((tile) => tile.level === 'entries')
      .flatMap((tile) => decodeEntries(this.bytes(tilePath(tile)))!)
      .map((content) => parseLeaf(content)!);
  }

  /** Says something else about a node in an epoch; the tree of the rows and the leaf say so, too. */
  changeRow(epoch: number, node: string, change: (row: VerdictRow) => Partial<VerdictRow>): void {
    const path = `verdicts/${epoch}`;
    const rows = decodeLines(this.bytes(path))!.map((line) => parseVerdictRow(line)!);
    const changed = rows.map((row) => (row.node === node ? { ...row, ...change(row) } : row));
    const lines = changed.map(verdictRowBytes);
    this.write(path, encodeBundle(lines));
    const members = changed.filter((row) => row.allowed);
    const root = new MerkleTree(
      crypto,
      lines.map((line) => leafHash(crypto, line)),
    ).root;
    this.changeEpoch(epoch, (leaf) => ({
      members: members.length,
      denied: rows.length - members.length,
      verdicts: { ...leaf.verdicts, root: toBase64(root) },
    }));
  }

  changeEpoch(epoch: number, change: (leaf: Epoch) => Partial<Epoch>): void {
    this.leaves = this.leaves.map((leaf) =>
      leaf.event === 'epoch' && leaf.epoch === epoch ? { ...leaf, ...change(leaf) } : leaf,
    );
  }

  /** Writes tiles and checkpoint of the leaves as they are now. `seed`: the controller's. */
  sign(seed: Uint8Array): void {
    const hashes: Uint8Array[][] = [];
    const tree = new LogTree(crypto, {
      read: (level, first, count) => (hashes[level] ?? []).slice(first, first + count),
      add: (level, index, hash) => {
        hashes[level] ??= [];
        hashes[level][index] = hash;
      },
    });
    const contents = this.leaves.map(({ v: _, at, ...event }) => leafBytes(at, event as LeafEvent));
    for (const [index, content] of contents.entries()) tree.append(index, content);
    rmSync(join(this.directory, 'tile'), { recursive: true });
    for (const tile of newTiles(0, contents.length)) {
      const { level, index, width } = tile;
      const first = index * 256;
      const bytes =
        level === 'entries'
          ? encodeEntries(contents.slice(first, first + width))
          : tree.tile({ level, index, width });
      this.write(tilePath(tile), bytes);
    }
    const checkpoint = {
      origin: this.origin,
      size: contents.length,
      root: tree.root(contents.length),
    };
    this.write('checkpoint', signCheckpoint(crypto, seed, checkpoint));
  }

  private bytes(path: string): Uint8Array {
    return new Uint8Array(readFileSync(join(this.directory, path)));
  }

  private text(path: string): string {
    return new TextDecoder().decode(this.bytes(path));
  }

  private write(path: string, content: Uint8Array | string): void {
    mkdirSync(dirname(join(this.directory, path)), { recursive: true });
    writeFileSync(join(this.directory, path), content);
  }
}

/** A proof with its parts changed. */
export function changedProof(
  text: string,
  change: (proof: Record<string, unknown>) => void,
): string {
  const proof = JSON.parse(text) as Record<string, unknown>;
  change(proof);
  return JSON.stringify(proof);
}

/** Base64 with one bit of the bytes changed. */
export function flipped(base64: string, at = 0): string {
  const bytes = fromBase64(base64)!;
  bytes[at]! ^= 1;
  return toBase64(bytes);
}
