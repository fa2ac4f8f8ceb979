import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromBase64 } from '../contract/encoding.ts';
import { redact } from './redact.ts';

/** Most of one section, characters: the end of it, which is the newest. */
const MAX_SECTION = 200_000;
/** Most files of a directory that are named, and most bytes of a key file. */
const MAX_FILES = 200;
const MAX_KEY_BYTES = 200;

export interface Section {
  readonly title: string;
  /** Made when it is written; what it throws stands in its place. */
  readonly text: () => string | Promise<string>;
}

/**
 * A report for those who mend the program: sections of text, redacted. Nothing is taken from key files;
 * what they hold is known only so that it can be taken out wherever it should appear.
 */
export async function bugReport(
  sections: readonly Section[],
  stateDirectories: readonly string[],
): Promise<string> {
  const secrets = stateDirectories.flatMap(keysIn);
  const parts: string[] = [];
  for (const { title, text } of sections) {
    const content = await Promise.try(text).catch((error: unknown) => `not to be had: ${error}`);
    // Redacted whole and cut then: a secret that is cut in two is not recognised.
    parts.push(`## ${title}\n\n${redact(content, secrets).slice(-MAX_SECTION).trimEnd()}\n`);
  }
  return parts.join('\n');
}

/** Names, modes, owners and sizes: never contents. */
export function filesOf(directory: string): string {
  const names = readdirSync(directory).sort().slice(0, MAX_FILES);
  return names
    .map((name) => {
      const { mode, uid, size, mtime } = lstatSync(join(directory, name));
      return `${(mode & 0o7777).toString(8).padStart(4, '0')} ${uid} ${size} ${mtime.toISOString()} ${name}`;
    })
    .join('\n');
}

/** What the key files of a directory hold. */
function keysIn(directory: string): Uint8Array[] {
  try {
    return readdirSync(directory)
      .filter((name) => name.endsWith('.key'))
      .flatMap((name) => {
        const path = join(directory, name);
        if (lstatSync(path).size > MAX_KEY_BYTES) return [];
        return fromBase64(readFileSync(path, 'utf8').trim(), 32) ?? [];
      });
  } catch {
    return []; // another user's, and then nothing else of it can be read either
  }
}
