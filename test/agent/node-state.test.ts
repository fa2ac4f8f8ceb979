import { randomBytes } from 'node:crypto';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { forgetNode } from '../../src/agent/forget-node.ts';
import { ensureNodeKeys, ensureWitnessKey } from '../../src/agent/node-keys.ts';
import { openNodeState } from '../../src/agent/node-state.ts';
import { temporaryDirectory } from './support/rig.ts';

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  directory = temporaryDirectory();
  openNodeState(directory.path); // with the mode that it must have
});
afterEach(() => directory.remove());

const file = (name: string, value: unknown) =>
  writeFileSync(join(directory.path, name), JSON.stringify(value));
const key = Buffer.alloc(32).toString('base64');
const keys = { wireguard: key, signing: key, sealing: key };

test.each([
  ['mark.json', { epoch: -1, version: 0 }, /epoch is not an integer/],
  ['mark.json', { epoch: 1, version: 1, more: 1 }, /"more" is not no such field/],
  ['emitter.json', { sequences: { alignment: '7' }, observed_at: 0 }, /sequences\."alignment" is/],
  ['emitter.json', { sequences: {}, observed_at: 0, reported: { a: 1.5 } }, /reported\."a" is not/],
  ['pins.json', { 'node-b': { ...keys, signing: 'x' } }, /"node-b"\.signing is not 32 bytes/],
  ['pins.json', [], /content is not/],
])('a spoilt %s is not gone by: %j', (name, value, says) => {
  file(name, value);
  expect(() => openNodeState(directory.path)).toThrow(says);
});

test('what a change leaves is there again', async () => {
  const state = openNodeState(directory.path);
  await state.changeEmitter((before) => ({ ...before, sequences: { alignment: 7 } }));
  await state.writePins({ 'node-b': { ...keys, missing_s: 3 } });
  await state.writeMark({ epoch: 5, version: 6 });
  const again = openNodeState(directory.path);
  expect(again.readEmitter()).toEqual({ sequences: { alignment: 7 }, observed_at: 0 });
  expect(again.readPins()).toEqual({ 'node-b': { ...keys, missing_s: 3 } });
  expect(again.readMark()).toEqual({ epoch: 5, version: 6 });
});

test('pins of version 0.1, which counted otherwise, are kept', () => {
  file('pins.json', { 'node-b': { ...keys, missing_since: 4 } });
  expect(openNodeState(directory.path).readPins()).toEqual({
    'node-b': { ...keys, missing_s: null },
  });
});

test('once it is closed, all that was asked for is on the disk, and nothing comes after', async () => {
  const state = openNodeState(directory.path);
  const asked = state.writeMark({ epoch: 5, version: 6 });
  await state.close();
  expect(openNodeState(directory.path).readMark()).toEqual({ epoch: 5, version: 6 });
  await asked;
  await expect(state.writeMark({ epoch: 7, version: 0 })).rejects.toThrow('the node has ended');
  await expect(state.writeCosigned('x')).rejects.toThrow('the node has ended');
  expect(readdirSync(directory.path)).toEqual(['mark.json']);
});

test('who leaves keeps evidence against a controller alone, also where writes were cut off', async () => {
  const state = openNodeState(directory.path);
  await state.writeMark({ epoch: 5, version: 6 });
  await state.writeCosigned('a note');
  ensureNodeKeys(directory.path, (length) => new Uint8Array(randomBytes(length)));
  ensureWitnessKey(directory.path, (length) => new Uint8Array(randomBytes(length)));
  file('signing.key.new', 'half a key');
  file('split-views.json', []);
  forgetNode(directory.path, 0);
  expect(readdirSync(directory.path)).toEqual(['split-views.json']);
});
