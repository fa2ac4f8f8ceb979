import { join } from 'node:path';
import { readJsonFile, replaceFileSync } from '../ground/files.ts';

const FILE = 'controller.json';

/** URL of the controller that the node of a state directory last ran with; undefined without one. */
export function readKnownController(directory: string): string | undefined {
  const value = readJsonFile(join(directory, FILE)) as { readonly url?: unknown } | undefined;
  if (value === undefined) return undefined;
  if (typeof value.url === 'string' && URL.canParse(value.url)) return value.url;
  throw new Error(`${join(directory, FILE)}: url is not a URL; remove it and give --controller`);
}

/** Writes only what is new. */
export function rememberController(directory: string, url: string): void {
  if (readKnownController(directory) !== url)
    replaceFileSync(join(directory, FILE), `${JSON.stringify({ url })}\n`);
}
