import { readFileSync } from 'node:fs';

/** The version that package.json names; it lies as far away in a checkout as in the built package. */
export function version(): string {
  const file = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
