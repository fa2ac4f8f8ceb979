import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const VECTORS = join(import.meta.dirname, '../../vectors');

/** The files are ours and their shape is fixed by what writes them, so it is only asserted. */
export function readVectors<T>(name: string, folder = VECTORS): T {
  return JSON.parse(readFileSync(join(folder, name), 'utf8')) as T;
}

export function fromHex(text: string): Uint8Array {
  return Uint8Array.fromHex(text);
}

export function toHex(bytes: Uint8Array): string {
  return new Uint8Array(bytes).toHex();
}
