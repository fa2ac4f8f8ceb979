import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { nobleProvider } from '../../src/crypto/noble.ts';
import { nodeProvider } from '../../src/crypto/node.ts';
import { selectTransport } from '../../src/crypto/transport-select.ts';
import { requires } from '../lab/requirements.ts';
import { readVectors, VECTORS } from '../lab/vectors.ts';
import { replayWhole } from '../vectors/core-replay.ts';
import type { Recording } from '../vectors/recording.ts';
import { replay } from '../vectors/replay.ts';

const script = join(import.meta.dirname, '../../vectors/generate/generate.sh');
/** The recorder takes 25 s; before that it may have to fetch and compile its modules. */
const RECORDING_TIMEOUT = 300_000;

requires('go')('vectors recorded just now from wireguard-go', () => {
  const seed = `fresh ${process.pid} ${Date.now()}`;
  let folder = '';
  let recording: Recording;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'fresh-vectors-'));
    execFileSync('sh', [script, folder, '-seed', seed], { stdio: ['ignore', 'pipe', 'pipe'] });
    recording = readVectors<Recording>('wireguard-go.json', folder);
  }, RECORDING_TIMEOUT);

  afterAll(() => {
    if (folder !== '') rmSync(folder, { recursive: true });
  });

  test('cover what the committed ones cover', () => {
    const outline = ({ scenarios }: Recording) =>
      scenarios.map(({ name, steps }) => [
        name,
        ...steps.map(({ type, from, outcome }) => [type, from, outcome]),
      ]);
    expect(outline(recording)).toEqual(outline(readVectors<Recording>('wireguard-go.json')));
  });

  test.each([nobleProvider, nodeProvider])('are reproduced byte for byte with $name', (crypto) => {
    const { aead } = selectTransport({ log: () => {} });
    for (const scenario of recording.scenarios) {
      for (const name of ['a', 'b'] as const) {
        replay(crypto, scenario, name);
        replayWhole(crypto, aead, scenario, name);
      }
    }
  });

  test('generated ones are those that are committed', () => {
    for (const name of ['kdf.json', 'noise-ikpsk2.json']) {
      const [fresh, committed] = [folder, VECTORS].map((at) =>
        readFileSync(join(at, name), 'utf8'),
      );
      expect(fresh).toBe(committed);
    }
  });
});
