import type { CryptoProvider } from '../../crypto/provider.ts';
import { MAX_PEERS, type RosterEntry, rosterEntrySchema } from '../config.ts';
import { equalBytes, parseJson } from '../encoding.ts';
import { type Schema, violation } from '../schema.ts';

export type { RosterEntry };

const rosterSchema = {
  type: 'array',
  maxItems: MAX_PEERS,
  items: rosterEntrySchema,
} as const satisfies Schema;

const NAME_LABEL = new TextEncoder().encode('aligned-meshnet roster v1\0');

/** Name (32 bytes) of a list of enrolled nodes: SHA-256 of a label and its bytes (JSON). */
export function rosterName(crypto: CryptoProvider, bytes: Uint8Array): Uint8Array {
  return crypto.sha256(NAME_LABEL, bytes);
}

/** The list in these bytes; undefined if they are not what the name says. */
export function openRoster(
  crypto: CryptoProvider,
  name: Uint8Array,
  bytes: Uint8Array,
): readonly RosterEntry[] | undefined {
  if (!equalBytes(rosterName(crypto, bytes), name)) return undefined;
  const list = parseJson(bytes);
  return violation(rosterSchema, list) ? undefined : (list as readonly RosterEntry[]);
}
