import type { CryptoProvider } from '../../crypto/provider.ts';
import { leafHash, MerkleTree } from '../../record/merkle.ts';
import { equalBytes } from '../encoding.ts';
import { decodeEntries, encodeEntries } from './entry-list.ts';
import { encodeMemberEntry, type MemberEntry } from './member-entry.ts';

/** Members of a chunk; a power of two, so that its name is an inner node of the membership tree. */
export const CHUNK_SIZE = 256;

/** A run of members in byte order, named by the root (32 bytes) of the tree over them. */
export interface Chunk {
  readonly name: Uint8Array;
  /** As it is fetched: the entries, each with its length. */
  readonly bytes: Uint8Array;
}

/** Cuts a membership, ids in byte order, into chunks; only the last may have fewer members. */
export function chunksOf(crypto: CryptoProvider, entries: readonly MemberEntry[]): Chunk[] {
  const chunks: Chunk[] = [];
  for (let at = 0; at < entries.length; at += CHUNK_SIZE) {
    const run = entries.slice(at, at + CHUNK_SIZE);
    chunks.push({ name: nameOf(crypto, run), bytes: encodeEntries(run) });
  }
  return chunks;
}

/** The root (32 bytes) of the membership tree whose chunks have these names, in order. */
export function rootOfChunks(crypto: CryptoProvider, names: readonly Uint8Array[]): Uint8Array {
  return new MerkleTree(crypto, names).root;
}

/** The members in a chunk; undefined if the bytes are not what the name says. */
export function openChunk(
  crypto: CryptoProvider,
  name: Uint8Array,
  bytes: Uint8Array,
): MemberEntry[] | undefined {
  const entries = decodeEntries(bytes);
  if (entries === undefined || entries.length === 0 || entries.length > CHUNK_SIZE)
    return undefined;
  return equalBytes(nameOf(crypto, entries), name) ? entries : undefined;
}

function nameOf(crypto: CryptoProvider, entries: readonly MemberEntry[]): Uint8Array {
  const leaves = entries.map((entry) => leafHash(crypto, encodeMemberEntry(entry)));
  return new MerkleTree(crypto, leaves).root;
}
