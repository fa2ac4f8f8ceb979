import fc from 'fast-check';
import type { MemberEntry } from '../../../src/contract/epoch/member-entry.ts';

const bytes = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((value) => new Uint8Array(value));
const octet = fc.nat(255);
const port = fc.integer({ min: 1, max: 65_535 });

const endpoint = fc.oneof(
  fc.tuple(octet, octet, port).map(([c, d, at]) => `192.0.${c}.${d}:${at}`),
  fc.tuple(fc.nat(0xffff), port).map(([group, at]) => `[2001:db8::${group.toString(16)}]:${at}`),
);

/** Where a node is: nowhere, in one place, or perhaps in several. */
const places = fc
  .array(endpoint, { maxLength: 4 })
  .map(([first = null, ...candidates]) =>
    candidates.length === 0 ? { endpoint: first } : { endpoint: first, candidates },
  );

const withoutPlaces = fc.record({
  nodeId: fc.stringMatching(/^[a-z0-9-]{1,63}$/),
  wireguard: bytes(32),
  signing: bytes(32),
  sealing: bytes(32),
  recordSignature: bytes(64),
  tunnelAddress: fc.tuple(octet, octet, octet, octet).map((parts) => parts.join('.')),
  sinceEpoch: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
});

/** Any entry that can be told of; keys are just bytes. */
export const memberEntry: fc.Arbitrary<MemberEntry> = fc
  .tuple(withoutPlaces, places)
  .map(([rest, where]) => ({ ...rest, ...where }));

/** A membership: each id once. */
export const members = fc.uniqueArray(memberEntry, {
  selector: (entry) => entry.nodeId,
  maxLength: 20,
});
