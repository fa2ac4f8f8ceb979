import { describe, expect, test } from 'vitest';
import { nobleProvider } from '../../src/crypto/noble.ts';
import { nodeProvider } from '../../src/crypto/node.ts';
import { readVectors } from './files.ts';
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

describe.each([nobleProvider, nodeProvider])('$name', (crypto) => {
  describe.each(recording.scenarios)('$name', (scenario) => {
    test.each(['a', 'b'] as const)(
      'a device in the place of %s sends the recorded bytes and takes the recorded ones',
      (name) => {
        replay(crypto, scenario, name);
      },
    );
  });
});
