import { opendir } from 'node:fs/promises';
import { sep } from 'node:path';
import { isNodeId } from '../../contract/ids.ts';
import type { ScoreOrigin } from './score-from.ts';

/** Stands for the name of a node in a place or in what is asked there. */
export const NAME_MARK = '{node}';

/** Whether results of many nodes can be told apart there. */
export function isPerNode({ location, selector }: ScoreOrigin): boolean {
  return location.includes(NAME_MARK) || (selector?.includes(NAME_MARK) ?? false);
}

/** Where the results of one node are. */
export function originOf({ kind, location, selector }: ScoreOrigin, node: string): ScoreOrigin {
  const filled = (text: string) => text.replaceAll(NAME_MARK, node);
  return {
    kind,
    location: filled(location),
    selector: selector === null ? null : filled(selector),
  };
}

/**
 * The nodes that have a file or a folder at a place such as `results/{node}.report.jsonl` or
 * `logs/{node}/eval`, at most `limit` of them. Rejects with the error of the system.
 */
export async function nodesAt(location: string, limit: number): Promise<string[]> {
  const parts = location.split(sep);
  const marked = parts.findIndex((part) => part.includes(NAME_MARK));
  const before = parts.slice(0, marked).join(sep);
  const folder = before === '' && marked > 0 ? sep : before || '.';
  const [head = '', ...tail] = parts[marked]!.split(NAME_MARK).map(RegExp.escape);
  const name = new RegExp(`^${head}([a-z0-9-]+)${tail.join('\\1')}$`);
  const found: string[] = [];
  for await (const entry of await opendir(folder)) {
    const node = name.exec(entry.name)?.[1];
    if (!isNodeId(node)) continue;
    found.push(node);
    if (found.length >= limit) break;
  }
  return found;
}
