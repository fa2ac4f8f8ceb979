import { isIPv4 } from 'node:net';
import { isNodeId } from '../../contract/ids.ts';
import { ZONE } from './dns-message.ts';

const BEGIN = '# BEGIN aligned-meshnet: written by meshnet node, changes are lost';
const OWN_LINE = new RegExp(`^\\S+ [a-z0-9-]+\\.${ZONE}$`);
const END = '# END aligned-meshnet';

/** Most names that are written; a resolver reads all of the file for each look-up. */
export const MAX_NAMES = 4096;

/**
 * The text of a hosts file (hosts(5)) with the names of the mesh in a block at its end, or without one
 * where there are no names. All else stays as it is. A name or an address that is none is left out,
 * whoever said it: nothing else may get into this file.
 */
export function withNames(text: string, names: ReadonlyMap<string, string>): string {
  const rest = withoutBlock(text);
  const lines = [...names]
    .filter(([name, address]) => isNodeId(name) && isIPv4(address))
    .slice(0, MAX_NAMES)
    .map(([name, address]) => `${address} ${name}.${ZONE}`);
  if (lines.length === 0) return rest;
  const gap = rest === '' || rest.endsWith('\n') ? '' : '\n';
  return `${rest}${gap}${[BEGIN, ...lines, END].join('\n')}\n`;
}

/** A block without an end is what some other program left of ours: only its own lines go. */
function withoutBlock(text: string): string {
  const kept: string[] = [];
  let isOurs = false;
  for (const line of text.split('\n')) {
    if (line === BEGIN) isOurs = true;
    else if (isOurs && line === END) isOurs = false;
    else if (isOurs && OWN_LINE.test(line)) continue;
    else {
      isOurs = false;
      kept.push(line);
    }
  }
  return kept.join('\n');
}
