import { expect, test } from 'vitest';
import { nodeProvider as crypto } from '../../src/crypto/node.ts';
import { logKey, openCheckpoint, signCheckpoint } from '../../src/record/checkpoint.ts';
import { LogTree } from '../../src/record/log-tree.ts';
import { LogReader } from '../../src/record/read-log.ts';
import { encodeEntries, parseTilePath } from '../../src/record/tiles.ts';

const seed = new Uint8Array(32).fill(1);
const key = logKey('log.example', crypto.ed25519Public(seed));

/** A log in memory that says which of its files were read. */
class MemoryLog {
  readonly asked: string[] = [];
  private readonly entries: Uint8Array[] = [];
  private readonly hashes: Uint8Array[][] = [];
  private readonly tree = new LogTree(crypto, {
    read: (level, first, count) => (this.hashes[level] ?? []).slice(first, first + count),
    add: (level, index, hash) => {
      this.hashes[level] ??= [];
      this.hashes[level][index] = hash;
    },
  });

  growTo(size: number, story = ''): this {
    while (this.entries.length < size) {
      const content = Buffer.from(`${story}${this.entries.length}`);
      this.tree.append(this.entries.push(content) - 1, content);
    }
    return this;
  }

  get checkpoint() {
    const size = this.entries.length;
    const root = this.tree.root(size);
    const text = signCheckpoint(crypto, seed, { origin: key.name, size, root });
    return openCheckpoint(crypto, key, text)!;
  }

  readonly read = async (path: string): Promise<Uint8Array> => {
    this.asked.push(path);
    const { level, index, width } = parseTilePath(path)!;
    if (level !== 'entries') return this.tree.tile({ level, index, width });
    return encodeEntries(this.entries.slice(index * 256, index * 256 + width));
  };
}

test('a log that grows is read on from where it was, and not again from its beginning', async () => {
  const log = new MemoryLog().growTo(600);
  const reader = new LogReader(crypto, log.read);
  await reader.readTo(log.checkpoint);
  expect(log.asked.filter((path) => path.startsWith('tile/entries'))).toHaveLength(3);
  log.asked.length = 0;
  await reader.readTo(log.checkpoint);
  expect(log.asked).toEqual([]);
  log.growTo(603);
  await reader.readTo(log.checkpoint);
  expect(log.asked).toEqual(['tile/entries/002.p/91', 'tile/0/002.p/91']);
  log.growTo(1030);
  await reader.readTo(log.checkpoint);
  expect(reader.entries.map((one) => Buffer.from(one).toString())).toEqual(
    Array.from({ length: 1030 }, (_, i) => String(i)),
  );
});

test('a log that goes on otherwise than it was read is refused', async () => {
  const reader = new LogReader(crypto, new MemoryLog().growTo(600).read);
  await reader.readTo(new MemoryLog().growTo(600).checkpoint);
  const other = new MemoryLog().growTo(700, 'other ');
  const on = new LogReader(crypto, other.read);
  await on.readTo(other.checkpoint);
  await expect(reader.readTo(other.checkpoint)).rejects.toThrow();
  const back = new LogReader(crypto, other.read);
  await back.readTo(other.checkpoint);
  await expect(back.readTo(new MemoryLog().growTo(5).checkpoint)).rejects.toThrow('went back');
});
