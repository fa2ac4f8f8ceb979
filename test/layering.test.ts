import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..');

/** What each folder of src may import besides itself. docs/ARCHITECTURE.md says why. */
const MAY_IMPORT: Record<string, string[]> = {
  wire: [],
  crypto: [],
  noise: ['wire', 'crypto'],
  record: ['crypto'],
  session: ['noise', 'wire', 'crypto'],
  datapath: ['session', 'noise', 'wire', 'crypto'],
  device: ['session', 'noise', 'wire', 'crypto'],
  ground: [],
  io: ['wire', 'ground'],
  tunnel: ['device', 'datapath', 'session', 'noise', 'wire', 'crypto', 'io', 'ground'],
  contract: ['wire', 'crypto', 'ground', 'record'],
  controller: ['contract', 'record', 'wire', 'crypto', 'ground'],
  replay: ['controller'],
  agent: ['contract', 'record', 'wire', 'crypto', 'tunnel', 'io', 'ground'],
  doctor: ['controller', 'agent', 'contract', 'crypto', 'wire', 'io', 'ground'],
  kubernetes: ['contract'],
  dashboard: ['controller', 'replay', 'contract', 'record', 'crypto', 'ground'],
  demo: ['controller', 'agent', 'contract', 'crypto', 'tunnel', 'io', 'ground'],
};

/** Rooms that do nothing but compute. `crypto` is none: some of its providers are Node's. */
const PURE = [
  'wire',
  'noise',
  'session',
  'datapath',
  'device',
  'record',
  'replay',
  'controller/policy',
];
const IMPURE =
  /['"]node:[^'"]*['"]|\b(?:Date\b|(?<!\.)(?:performance|process|console|globalThis)\.|fetch\(|set(?:Timeout|Interval|Immediate)\(|queueMicrotask\(|Math\.random|crypto\.(?:getRandomValues|randomUUID|subtle))/g;
const COMMENT = /\/\*[\s\S]*?\*\/|\/\/.*/g;

const IMPORT =
  /^\s*(?:import|export)\s[^'"]*?from\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm;

/** Paths, from the root of the repository, of every source file and of what it imports of ours. */
const imports = new Map<string, readonly string[]>(
  ['src', 'test', 'examples', 'native-bench']
    .flatMap((tree) =>
      readdirSync(join(root, tree), { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.ts'))
        .map((name) => join(tree, name)),
    )
    .map((file) => [file, importsOf(file)]),
);

function importsOf(file: string): string[] {
  return [...readFileSync(join(root, file), 'utf8').matchAll(IMPORT)]
    .map((match) => match[1] ?? match[2] ?? match[3]!)
    .filter((target) => target.startsWith('.'))
    .map((target) => relative(root, resolve(root, dirname(file), target)));
}

/** `src/wire`, `test/lab`, `native-bench`: what the rules are about. */
function roomOf(file: string): string {
  const [tree, folder, ...rest] = file.split('/') as [string, string, ...string[]];
  return tree === 'native-bench' || rest.length === 0 ? tree : `${tree}/${folder}`;
}

/** Imports, as `file -> target`, that a rule forbids. */
function forbidden(isAllowed: (from: string, to: string) => boolean): string[] {
  return [...imports].flatMap(([file, targets]) =>
    targets
      .filter((target) => !isAllowed(roomOf(file), roomOf(target)))
      .map((target) => `${file} -> ${target}`),
  );
}

/** A way from a node back to itself, if there is one. */
function circleOf(graph: ReadonlyMap<string, Iterable<string>>): string[] {
  const finished = new Set<string>();
  const walk = (node: string, path: readonly string[]): string[] => {
    if (path.includes(node)) return [...path.slice(path.indexOf(node)), node];
    if (finished.has(node)) return [];
    for (const next of graph.get(node) ?? []) {
      const circle = walk(next, [...path, node]);
      if (circle.length > 0) return circle;
    }
    finished.add(node);
    return [];
  };
  for (const node of graph.keys()) {
    const circle = walk(node, []);
    if (circle.length > 0) return circle;
  }
  return [];
}

test('imports go in one direction only', () => {
  const violations = forbidden((from, to) => {
    if (!from.startsWith('src/') || from === 'src/cli') return true; // the top: may import everything
    const allowed = MAY_IMPORT[from.slice('src/'.length)] ?? [];
    return from === to || allowed.some((room) => to === `src/${room}`);
  });
  expect(violations).toEqual([]);
});

test('time, randomness and the operating system come into the pure rooms as arguments', () => {
  const found: string[] = [];
  for (const [file] of imports) {
    if (!PURE.some((room) => file.startsWith(`src/${room}/`))) continue;
    const code = readFileSync(join(root, file), 'utf8').replace(COMMENT, '');
    for (const [what] of code.matchAll(IMPURE)) found.push(`${file}: ${what}`);
  }
  expect(found).toEqual([]);
});

test('no file of sources, tests, labs and benches imports itself by way of others', () => {
  expect(circleOf(imports)).toEqual([]);
});

test('no room of sources, tests, labs and benches imports itself by way of others', () => {
  const rooms = new Map<string, Set<string>>();
  for (const [file, targets] of imports) {
    const room = roomOf(file);
    const others = targets.map(roomOf).filter((other) => other !== room);
    rooms.set(room, new Set([...(rooms.get(room) ?? []), ...others]));
  }
  expect(circleOf(rooms)).toEqual([]);
});

test('the lab knows only what it is a lab for, benches only the lab, examples only the sources', () => {
  const violations = forbidden((from, to) => {
    if (from === to || to.startsWith('src/')) return true;
    if (from === 'test/lab') return false;
    if (from === 'native-bench') return to === 'test/lab';
    if (to.startsWith('examples')) return from.startsWith('examples');
    if (from.startsWith('examples')) return false;
    return to !== 'native-bench' || from === 'test/native-bench';
  });
  expect(violations).toEqual([]);
});
