/** Writes ASN.1 in the distinguished encoding (X.690), as far as certificates need it. */

const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bits: 0x03,
  octets: 0x04,
  oid: 0x06,
  utf8: 0x0c,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

function element(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const content = Buffer.concat(contents);
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), content]);
  const bytes = length < 0x100 ? Buffer.of(length) : Buffer.of(length >> 8, length & 0xff);
  return Buffer.concat([Buffer.of(tag, 0x80 | bytes.length), bytes, content]);
}

export const sequence = (...items: readonly Uint8Array[]) => element(TAG.sequence, ...items);
export const set = (...items: readonly Uint8Array[]) => element(TAG.set, ...items);
export const octets = (...content: readonly Uint8Array[]) => element(TAG.octets, ...content);
export const bits = (content: Uint8Array) => element(TAG.bits, Buffer.of(0), content);
export const text = (value: string) => element(TAG.utf8, Buffer.from(value));
export const yes = () => element(TAG.boolean, Buffer.of(0xff));

/** `bytes`: big-endian and positive, without leading zeros. */
export const integer = (bytes: Uint8Array) =>
  element(TAG.integer, Buffer.of(...((bytes[0] ?? 0) & 0x80 ? [0] : [])), bytes);

/** `1.3.101.112` */
export function oid(dotted: string): Uint8Array {
  const [first, second, ...rest] = dotted.split('.').map(Number) as [number, number, ...number[]];
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const groups = [arc & 0x7f];
    for (let left = arc >> 7; left > 0; left >>= 7) groups.unshift(0x80 | (left & 0x7f));
    bytes.push(...groups);
  }
  return element(TAG.oid, Buffer.from(bytes));
}

/** `ms` since 1970, to the second. */
export const time = (ms: number) =>
  element(
    TAG.generalizedTime,
    Buffer.from(`${new Date(ms).toISOString().slice(0, 19).replace(/[-:T]/g, '')}Z`),
  );

/** `[number]` around whole elements, or (`primitive`) around the bytes of one whose tag it replaces. */
export const tagged = (number: number, content: Uint8Array, primitive = false) =>
  element((primitive ? 0x80 : 0xa0) | number, content);
