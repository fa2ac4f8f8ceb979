import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { NOTHING_SENT } from '../../src/agent/node-state.ts';
import { EvaluatorMemory } from '../../src/cli/evaluator-memory.ts';

let directory: string;
let key: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'meshnet-memory-'));
  key = join(directory, 'evaluator.key');
});
afterEach(() => rmSync(directory, { recursive: true }));

const said = (sequence: number) => ({ sequences: { alignment: sequence }, observed_at: 5 });
const say = (memory: EvaluatorMemory, node: string, sequence: number) =>
  memory.of(node).changeEmitter(() => said(sequence));

test('what was said of a node is remembered over a restart, and a score rewrites nothing else', async () => {
  const memory = new EvaluatorMemory(key);
  for (const node of ['a', 'b']) await say(memory, node, 1);
  const fileOfA = join(`${key}.memory`, 'a.json');
  const before = statSync(fileOfA).ino; // each write is a new file
  await say(memory, 'b', 2);
  expect(statSync(fileOfA).ino).toBe(before);
  const again = new EvaluatorMemory(key);
  expect(again.of('a').readEmitter()).toEqual(said(1));
  expect(again.of('b').readEmitter()).toEqual(said(2));
  expect(again.of('c').readEmitter()).toEqual(NOTHING_SENT);
});

test('what version 0.1 kept in one file holds until there is more to say', async () => {
  const old = JSON.stringify({ a: said(7), b: said(8) });
  writeFileSync(`${key}.sequences`, old, { mode: 0o600 });
  const memory = new EvaluatorMemory(key);
  expect(memory.of('a').readEmitter()).toEqual(said(7));
  await memory.of('a').changeEmitter(({ sequences }) => said(sequences.alignment! + 1));
  const again = new EvaluatorMemory(key);
  expect(again.of('a').readEmitter()).toEqual(said(8));
  expect(again.of('b').readEmitter()).toEqual(said(8));
  expect(readFileSync(`${key}.sequences`, 'utf8')).toBe(old);
});

test.each(['../a', 'A', '', 'a/b', 'a'.repeat(64)])('there is no node named %j', (node) => {
  const memory = new EvaluatorMemory(key);
  expect(() => memory.of(node).readEmitter()).toThrow(RangeError);
  expect(readdirSync(`${key}.memory`)).toEqual([]);
});

test('a file that says something else is named', () => {
  new EvaluatorMemory(key);
  writeFileSync(join(`${key}.memory`, 'a.json'), '{"sequences": {"alignment": "7"}}');
  expect(() => new EvaluatorMemory(key).of('a').readEmitter()).toThrow(/a\.json: /);
});
