import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { nodeProvider } from '../src/crypto/node.ts';
import { median, summarise } from '../test/lab/statistics.ts';
import { publish, type Row } from '../test/lab/suite.ts';
import { datagramHandshake, noiseHandshake } from './handshakes.ts';

/**
 * Handshakes per second of ours and of the official wireguard-go, the same work in one thread each,
 * turn by turn. Left out, with a word, where there is no Go.
 */

const ROUNDS = 5;
const SECONDS = 0.5;
const CACHE = resolve(import.meta.dirname, '../node_modules/.cache/aligned-meshnet');

interface GoResult {
  readonly version: string;
  readonly results: readonly { readonly name: string; readonly handshakes_per_second: number }[];
}

function buildGoBenchmark(): string {
  mkdirSync(CACHE, { recursive: true });
  const binary = join(CACHE, 'handshake-bench');
  execFileSync('go', ['build', '-o', binary, './cmd/handshake-bench'], {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return binary;
}

function runGo(binary: string): GoResult {
  const output = execFileSync(binary, ['-rounds', '1', '-seconds', String(SECONDS)], {
    encoding: 'utf8',
  });
  return JSON.parse(output) as GoResult;
}

function perSecond(handshake: () => void): number {
  const start = performance.now();
  const end = start + SECONDS * 1000;
  let count = 0;
  while (performance.now() < end) {
    handshake();
    count++;
  }
  return (count * 1000) / (performance.now() - start);
}

function compare(binary: string): void {
  const kinds: [string, () => void][] = [
    ['noise', noiseHandshake(nodeProvider)],
    ['datagrams', datagramHandshake(nodeProvider)],
  ];
  for (const [, handshake] of kinds) perSecond(handshake); // warms up, as the other one does
  const ours = new Map<string, number[]>(kinds.map(([name]) => [name, []]));
  const theirs = new Map<string, number[]>(kinds.map(([name]) => [name, []]));
  let version = '';
  for (let round = 0; round < ROUNDS; round++) {
    const go = runGo(binary);
    version = go.version;
    for (const { name, handshakes_per_second } of go.results) {
      theirs.get(name)!.push(handshakes_per_second);
    }
    for (const [name, handshake] of kinds) ours.get(name)!.push(perSecond(handshake));
  }
  const rows: Row[] = kinds.map(([name]) => {
    const [mine, other] = [ours.get(name)!, theirs.get(name)!];
    const ratio = summarise(mine.map((value, round) => value / other[round]!));
    return {
      handshake: name,
      'ours /s': Math.round(median(mine)),
      'wireguard-go /s': Math.round(median(other)),
      'ours/wireguard-go': Number(ratio.median.toFixed(2)),
      'lowest round': Number(ratio.min.toFixed(2)),
      'highest round': Number(ratio.max.toFixed(2)),
    };
  });
  publish(`Handshakes side by side with wireguard-go ${version}`, rows);
}

let binary: string | undefined;
try {
  binary = buildGoBenchmark();
} catch (error) {
  console.warn(`no handshakes of wireguard-go: ${(error as Error).message.split('\n')[0]}`);
}
if (binary !== undefined) compare(binary);
