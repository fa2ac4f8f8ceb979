import { inflateRawSync, zstdDecompressSync } from 'node:zlib';

/** One file's bytes out of an archive, at most so many; undefined if it is not in there. */
export type ZipEntry =
  | { readonly ok: true; readonly bytes: Uint8Array | undefined }
  | { readonly ok: false; readonly why: 'bad_archive' | 'too_large' };

// PKWARE APPNOTE 4.3: end of central directory, central directory header, local file header.
const END = 0x06054b50;
const END_LENGTH = 22;
const CENTRAL = 0x02014b50;
const CENTRAL_LENGTH = 46;
const LOCAL = 0x04034b50;
const LOCAL_LENGTH = 30;
const MAX_COMMENT = 65_535;

const STORED = 0;
const DEFLATED = 8;
const ZSTD = 93;

/**
 * Reads `name` from a zip archive: stored, deflated or zstd (as inspect writes `.eval`). What it claims
 * about sizes is not believed: no more than `limit` bytes come out. Throws nothing.
 */
export function zipEntry(archive: Uint8Array, name: string, limit: number): ZipEntry {
  try {
    return read(archive, name, limit);
  } catch (error) {
    const isLarge = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
    return { ok: false, why: isLarge ? 'too_large' : 'bad_archive' };
  }
}

function read(archive: Uint8Array, name: string, limit: number): ZipEntry {
  const view = new DataView(archive.buffer, archive.byteOffset, archive.byteLength);
  const end = endOf(view);
  if (end === undefined) return { ok: false, why: 'bad_archive' };
  const count = view.getUint16(end + 10, true);
  let entry = view.getUint32(end + 16, true);
  for (let one = 0; one < count; one++) {
    if (view.getUint32(entry, true) !== CENTRAL) return { ok: false, why: 'bad_archive' };
    const nameLength = view.getUint16(entry + 28, true);
    const nameAt = entry + CENTRAL_LENGTH;
    if (Buffer.from(archive.subarray(nameAt, nameAt + nameLength)).toString('utf8') === name) {
      return { ok: true, bytes: unpack(archive, view, entry, limit) };
    }
    entry =
      nameAt + nameLength + view.getUint16(entry + 30, true) + view.getUint16(entry + 32, true);
  }
  return { ok: true, bytes: undefined };
}

function endOf(view: DataView): number | undefined {
  const last = view.byteLength - END_LENGTH;
  for (let at = last; at >= Math.max(0, last - MAX_COMMENT); at--) {
    if (view.getUint32(at, true) === END) return at;
  }
  return undefined;
}

/** Throws what the reader of the format throws. */
function unpack(archive: Uint8Array, view: DataView, entry: number, limit: number): Uint8Array {
  const method = view.getUint16(entry + 10, true);
  const packed = view.getUint32(entry + 20, true);
  const local = view.getUint32(entry + 42, true);
  if (view.getUint32(local, true) !== LOCAL) throw new Error('no local header');
  const start =
    local + LOCAL_LENGTH + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
  if (start + packed > archive.length) throw new Error('truncated');
  const bytes = archive.subarray(start, start + packed);
  switch (method) {
    case STORED:
      return bytes;
    case DEFLATED:
      return inflateRawSync(bytes, { maxOutputLength: limit });
    case ZSTD:
      return zstdDecompressSync(bytes, { maxOutputLength: limit });
    default:
      throw new Error('unknown method');
  }
}
