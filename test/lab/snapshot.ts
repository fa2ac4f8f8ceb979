import { toHex } from './vectors.ts';

/**
 * Everything that is reachable from `value`, as text: two equal snapshots mean that nothing
 * changed in between. Functions and native handles count as unchanging; fields named in `without`
 * are left out.
 */
export function snapshot(value: unknown, without: readonly string[]): string {
  const numbers = new Map<object, number>();
  const lines: string[] = [];

  const walk = (path: string, item: unknown): void => {
    if (typeof item === 'function') return;
    if (typeof item !== 'object' || item === null) {
      lines.push(`${path} = ${typeof item} ${String(item)}`);
      return;
    }
    const known = numbers.get(item);
    lines.push(`${path} is object ${known ?? numbers.size}`);
    if (known !== undefined) return;
    numbers.set(item, numbers.size);
    if (item instanceof Uint8Array) lines.push(`${path} = ${toHex(item)}`);
    else if (item instanceof Map || item instanceof Set) {
      let entry = 0;
      for (const part of item) walk(`${path}(${entry++})`, part);
    } else {
      for (const [key, part] of Object.entries(item)) {
        if (!without.includes(key)) walk(`${path}.${key}`, part);
      }
    }
  };
  walk('', value);
  return lines.join('\n');
}
