import { existsSync, readFileSync } from 'node:fs';
import type { NodeStatusDocument } from '../../src/agent/status.ts';

/** What a node wrote of itself; undefined while it has not. */
export function statusIn(path: string): NodeStatusDocument | undefined {
  if (!existsSync(path)) return undefined;
  return JSON.parse(readFileSync(path, 'utf8')) as NodeStatusDocument;
}
