import { decodeMemberEntry, encodeMemberEntry, type MemberEntry } from './member-entry.ts';

/** Entries one after the other, each as its length (u16be) and its bytes. */
export function encodeEntries(entries: readonly MemberEntry[]): Uint8Array {
  const encoded = entries.map(encodeMemberEntry);
  const out = Buffer.allocUnsafe(encoded.reduce((sum, bytes) => sum + 2 + bytes.length, 0));
  let offset = 0;
  for (const bytes of encoded) {
    offset = out.writeUInt16BE(bytes.length, offset);
    out.set(bytes, offset);
    offset += bytes.length;
  }
  return new Uint8Array(out.buffer, out.byteOffset, out.length);
}

/** The entries in exactly these bytes, or undefined if they are not such a list. */
export function decodeEntries(bytes: Uint8Array): MemberEntry[] | undefined {
  const entries: MemberEntry[] = [];
  for (let offset = 0; offset < bytes.length; ) {
    if (offset + 2 > bytes.length) return undefined;
    const end = offset + 2 + bytes[offset]! * 256 + bytes[offset + 1]!;
    if (end > bytes.length) return undefined;
    const entry = decodeMemberEntry(bytes.subarray(offset + 2, end));
    if (entry === undefined) return undefined;
    entries.push(entry);
    offset = end;
  }
  return entries;
}
