import { describe, expect, test } from 'vitest';
import { nobleProvider } from '../../src/crypto/noble.ts';
import { nodeProvider } from '../../src/crypto/node.ts';
import { selectTransport, TRANSPORT_AEAD_FACTORIES } from '../../src/crypto/transport-select.ts';
import { readVectors } from '../lab/vectors.ts';
import { replayWhole } from './core-replay.ts';
import type { Recording } from './recording.ts';
import { replay } from './replay.ts';

const recording = readVectors<Recording>('wireguard-go.json');

test('the recording is whole', () => {
  const kinds = recording.scenarios.flatMap(({ name, steps }) =>
    steps.map((step) => `${name}: ${step.type} ${step.outcome}`),
  );
  for (const kind of [
    'without-psk: initiation accepted',
    'with-psk: response accepted',
    'rekey: transport accepted late',
    'cookie-initiation: initiation cookie-demanded',
    'cookie-response: response cookie-demanded',
    'cookie-response: cookie-reply accepted',
    'wrong-psk: response rejected',
    'one-sided-psk: response rejected',
  ]) {
    expect(kinds).toContain(kind);
  }
  const rekey = recording.scenarios.find(({ name }) => name === 'rekey')!;
  expect(rekey.sessions.map(({ initiator }) => initiator)).toEqual(['a', 'a', 'b']);
});

const roles = ['a', 'b'] as const;
/** The two that copy, the plain kernel, and whatever is chosen by default here. */
const aeads = new Set([
  'noble' as const,
  'node' as const,
  'wasm-simd' as const,
  selectTransport({ log: () => {}, environment: {} }).name,
]);

describe.each([nobleProvider, nodeProvider])('$name', (crypto) => {
  describe.each(recording.scenarios)('$name', (scenario) => {
    test.each(roles)('in the place of %s, sends and takes the recorded handshakes', (name) => {
      replay(crypto, scenario, name);
    });

    describe.each([...aeads])('transport AEAD %s', (aead) => {
      test.each(roles)('in the place of %s, a whole tunnel sends and takes every byte', (name) => {
        replayWhole(crypto, TRANSPORT_AEAD_FACTORIES[aead], scenario, name);
      });
    });
  });
});
