import { expect, test, vi } from 'vitest';
import { Fuzzer } from '../fuzz/malformed.ts';

/** Simulations compute; on a busy machine that takes its time. */
vi.setConfig({ testTimeout: 90_000 });

/** `npm run fuzz -- datagrams` does this with ten million datagrams. */
test.each([1, 2])('malformed datagrams are counted and change nothing, seed %i', (seed) => {
  const report = new Fuzzer(seed).run(50_000);
  expect(report.faults).toEqual([]);
  expect(report.datagrams).toBe(50_000);
  // Every kind of check was reached.
  expect(Object.keys(report.drops).toSorted()).toEqual([
    'authenticationFailed',
    'cookieReplyInvalid',
    'cookieReplyReceiverUnknown',
    'datagramTooShort',
    'endpointUnacceptable',
    'initiatorUnknown',
    'innerMalformed',
    'innerSourceNotAllowed',
    'mac1Invalid',
    'replayed',
    'responseReceiverUnknown',
    'responseUnauthenticated',
    'roamingRefused',
    'staticUndecryptable',
    'timestampReplayed',
    'timestampUndecryptable',
    'underLoadCookieSent',
    'unknownMessageType',
    'unknownReceiverIndex',
  ]);
});
