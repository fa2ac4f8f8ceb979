import {
  SCRATCH_LENGTH,
  TAG_LENGTH,
  type TransportAead,
  type TransportAeadFactory,
} from './transport-aead.ts';
import type { WasmMemoryKernel } from './wasm/memory-kernel.ts';

/**
 * Known answers for a transport AEAD, run at start-up: a compiler's mistake in straight-line code
 * shows at once. A tag covers all the ciphertext, so it alone is compared; then the packet is opened
 * in place, and refused with a bit flipped. Lengths are chosen to go through every path of the
 * kernel: one block, four, eight, several times eight, with all kinds of ends.
 */
const KNOWN_ANSWERS: readonly (readonly [length: number, tag: string])[] = [
  [0, '176a9b6fb548aefce5d2379fa27d9b47'],
  [1, 'd82799567deeada138d9f927952e6197'],
  [16, 'fd5796f91df009a7257ebee530701874'],
  [64, 'a85fcfb0193d9fda4edfd25eb41e9948'],
  [96, 'f3695a4b52d70783f740dde3db589c7f'],
  [191, '40cfd2819c708b4a948d58b2a69c3ac2'],
  [192, '323fef23c5c9e74fcee5029d78c6a4a2'],
  [193, '214b31527eb3fabd5dccbe66478d6d7f'],
  [256, 'a1fb63ca6a38825dfa5ba0e61b1c7761'],
  [448, 'ed0710810344089df1481fa19f14f6e7'],
  [449, 'e90666f7a6c1d4d11c957f17a4e4a910'],
  [704, '9cf841f74c510719cc45e93202b0dbc3'],
  [705, '63a707376034fc5e8834e29d989559cb'],
  [960, '371de6617e6cdf7b460d0e0e705e26cc'],
  [1000, '72a532ca17391c657896c0c1b6912ec9'],
  [1216, '3978a23ab3b8d053f361ed436bd61406'],
  [1420, '6f6e98f00fecfcf0a28b4c3381c1fdd7'],
  [1984, '1619d65634a6f6da973e23386fcb6907'],
  [4103, '29910c851056c80962462ed7fb58caef'],
];

const PAGES = 2;
const KEY = 64;
const SCRATCH = 4096;
const PLAINTEXT = SCRATCH + SCRATCH_LENGTH;
const SEALED = 65536;

/** The key, counter and plaintext that the known answers belong to. */
export const SELF_TEST = {
  counterLow: 0x89abcdef,
  counterHigh: 0xfedcba98,
  key: Uint8Array.from({ length: 32 }, (_, i) => 0x80 + 5 * i),
  plaintext: (length: number): Uint8Array =>
    Uint8Array.from({ length }, (_, i) => (i * 167 + (i >>> 8) + length) & 0xff),
};

/** What is wrong with the implementation, or undefined if nothing is. */
export function transportAeadFault(create: TransportAeadFactory): string | undefined {
  const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });
  const bytes = new Uint8Array(memory.buffer);
  const aead = create(memory, SCRATCH);
  const { counterLow, counterHigh } = SELF_TEST;
  bytes.set(SELF_TEST.key, KEY);

  const isPlaintext = (offset: number, plaintext: Uint8Array): boolean =>
    plaintext.every((byte, i) => bytes[offset + i] === byte);

  for (const [length, tag] of KNOWN_ANSWERS) {
    const plaintext = SELF_TEST.plaintext(length);
    bytes.set(plaintext, PLAINTEXT);
    aead.seal(KEY, counterLow, counterHigh, SEALED, PLAINTEXT, length);
    const end = SEALED + length;
    const sealedTag = Buffer.from(bytes.slice(end, end + TAG_LENGTH)).toString('hex');
    if (sealedTag !== tag) return `seals ${length} bytes wrong`;

    bytes.fill(0, PLAINTEXT, PLAINTEXT + length);
    if (!aead.open(KEY, counterLow, counterHigh, PLAINTEXT, SEALED, length)) {
      return `refuses ${length} bytes that are right`;
    }
    if (!isPlaintext(PLAINTEXT, plaintext)) return `opens ${length} bytes wrong`;

    const flipped = SEALED + ((length * 7) % (length + TAG_LENGTH));
    bytes[flipped] = bytes[flipped]! ^ 0x40;
    if (aead.open(KEY, counterLow, counterHigh, PLAINTEXT, SEALED, length)) {
      return `accepts ${length} bytes that are forged`;
    }
    bytes[flipped] = bytes[flipped]! ^ 0x40;
    if (!aead.open(KEY, counterLow, counterHigh, SEALED, SEALED, length)) {
      return `refuses ${length} bytes in place`;
    }
    if (!isPlaintext(SEALED, plaintext)) return `opens ${length} bytes in place wrong`;
  }
  return pipelineFault(aead, bytes);
}

/** Packets of all known answers one behind the other, longest first. */
function pipelineFault(aead: TransportAead, bytes: Uint8Array): string | undefined {
  const { counterLow, counterHigh } = SELF_TEST;
  const packets = KNOWN_ANSWERS.toReversed();
  let place = SEALED;
  for (const [length] of packets) {
    bytes.set(SELF_TEST.plaintext(length), PLAINTEXT);
    aead.sealNext(KEY, counterLow, counterHigh, place, PLAINTEXT, length);
    place += length + TAG_LENGTH;
  }
  aead.sealEnd();
  place = SEALED;
  for (const [length, tag] of packets) {
    const end = place + length;
    const sealedTag = Buffer.from(bytes.slice(end, end + TAG_LENGTH)).toString('hex');
    if (sealedTag !== tag) return `seals ${length} bytes wrong behind others`;
    place = end + TAG_LENGTH;
  }
  place = SEALED;
  for (const [i, [length]] of packets.entries()) {
    const next = packets[i + 1]?.[0] ?? 0;
    const isOpen = aead.openBefore(
      KEY,
      counterLow,
      counterHigh,
      PLAINTEXT,
      place,
      length,
      KEY,
      counterLow,
      counterHigh,
      next,
    );
    if (!isOpen) return `refuses ${length} bytes behind others`;
    const plaintext = SELF_TEST.plaintext(length);
    if (!plaintext.every((byte, at) => bytes[PLAINTEXT + at] === byte)) {
      return `opens ${length} bytes wrong behind others`;
    }
    place += length + TAG_LENGTH;
  }
  aead.openEnd();
  return undefined;
}

/** The same for checksums and copies, against the obvious sum. */
export function memoryKernelFault(
  create: (memory: WebAssembly.Memory) => WasmMemoryKernel,
): string | undefined {
  const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });
  const bytes = new Uint8Array(memory.buffer);
  const kernel = create(memory);
  for (const length of [0, 1, 20, 63, 64, 143, 1420]) {
    const data = SELF_TEST.plaintext(length);
    bytes.set(data, PLAINTEXT + 1);
    let sum = 0xfff0;
    data.forEach((byte, i) => {
      sum += i % 2 === 0 ? byte : byte << 8;
    });
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    if (kernel.sum(PLAINTEXT + 1, length, 0xfff0) !== sum) return `sums ${length} bytes wrong`;
    bytes.fill(0, SEALED, SEALED + length);
    if (kernel.copySum(SEALED, PLAINTEXT + 1, length, 0xfff0) !== sum) {
      return `sums ${length} copied bytes wrong`;
    }
    if (!data.every((byte, i) => bytes[SEALED + i] === byte)) return `copies ${length} bytes wrong`;
    bytes.fill(0, SEALED, SEALED + length);
    kernel.copy(SEALED, PLAINTEXT + 1, length);
    if (!data.every((byte, i) => bytes[SEALED + i] === byte)) return `copies ${length} bytes wrong`;
  }
  return undefined;
}
