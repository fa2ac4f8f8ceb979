import type { Stats } from 'node:fs';
import { opendir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ScoreError } from '../score-source.ts';

/** A file as it was found. */
export interface FoundFile {
  readonly path: string;
  /** Tells one state of one file from another: {@link fileState}. */
  readonly state: string;
}

export function fileState(path: string, { dev, ino, size, mtimeMs }: Stats): string {
  return `${path} ${dev}:${ino} ${size} ${mtimeMs}`;
}

/**
 * `path` itself, or the newest fitting file of a folder and those in it; of as many as there are, only
 * one is kept in mind. Throws a `ScoreError`.
 */
export async function newestFile(path: string, files: RegExp): Promise<FoundFile> {
  let best: { path: string; stats: Stats } | undefined;
  try {
    const stats = await stat(path);
    if (!stats.isDirectory()) return { path, state: fileState(path, stats) };
    for await (const entry of await opendir(path, { recursive: true })) {
      if (!entry.isFile() || !files.test(entry.name)) continue;
      const candidate = join(entry.parentPath, entry.name);
      const stats = await stat(candidate).catch(() => undefined); // it was removed meanwhile
      if (stats === undefined) continue;
      if (best === undefined || stats.mtimeMs > best.stats.mtimeMs) {
        best = { path: candidate, stats };
      }
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new ScoreError('not_found', `no result in ${path}`);
    throw new ScoreError('not_found', `${path}: cannot be read (${code})`);
  }
  if (best === undefined) throw new ScoreError('not_found', `no result in ${path}`);
  return { path: best.path, state: fileState(best.path, best.stats) };
}
