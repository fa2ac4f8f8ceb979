import { parseAddress } from '../../wire/address-text.ts';

/**
 * DNS messages (RFC 1035 section 4), as far as one zone of addresses needs them: a query with one
 * question in, its answer out. Nothing is followed, nothing recurses, names are never compressed in a
 * question; whatever else comes is no query.
 */

/** The zone: a node is `NODE.mesh`. */
export const ZONE = 'mesh';
/** Seconds that an answer may be kept: members come and go. */
const TTL = 5;

const HEADER = 12;
/** Section 2.3.4. */
const MAX_MESSAGE = 512;
const MAX_NAME = 255;
const MAX_LABEL = 63;
const TYPE = { A: 1, ANY: 255 } as const;
const CLASS_IN = 1;
const RCODE = { ok: 0, notImplemented: 4, noSuchName: 3, refused: 5 } as const;
/** Bits of the second 16 of the header. */
const FLAG = {
  response: 0x8000,
  opcode: 0x7800,
  authoritative: 0x0400,
  truncated: 0x0200,
} as const;
const RECURSION_DESIRED = 0x0100;

interface Question {
  /** As they were asked for: letters of either case. */
  readonly labels: readonly string[];
  readonly type: number;
  readonly class: number;
  /** Offset behind it. */
  readonly end: number;
}

/**
 * The answer to a query; undefined: it is none, and nobody is answered. Never longer than the query by
 * more than one address. `addressOf`: IPv4 address of a node's name, in lower case.
 */
export function answerTo(
  query: Uint8Array,
  addressOf: (name: string) => string | undefined,
): Uint8Array | undefined {
  if (query.length < HEADER || query.length > MAX_MESSAGE) return undefined;
  const view = new DataView(query.buffer, query.byteOffset, query.byteLength);
  const flags = view.getUint16(2);
  if ((flags & (FLAG.response | FLAG.truncated)) !== 0) return undefined;
  const [questions, answers, authorities, additions] = [4, 6, 8, 10].map((at) =>
    view.getUint16(at),
  );
  // One addition is what EDNS (RFC 6891) sends; it is not answered, which says that it is not known.
  if (questions !== 1 || answers !== 0 || authorities !== 0 || additions! > 1) return undefined;
  const question = readQuestion(query, view);
  if (question === undefined) return undefined;
  if (additions === 0 && question.end !== query.length) return undefined;
  const asked = query.subarray(0, question.end);
  if ((flags & FLAG.opcode) !== 0) return reply(asked, flags, RCODE.notImplemented);
  const labels = question.labels.map((label) => label.toLowerCase());
  if (labels.at(-1) !== ZONE || question.class !== CLASS_IN) {
    return reply(asked, flags, RCODE.refused);
  }
  if (labels.length === 1) return reply(asked, flags, RCODE.ok);
  const address = labels.length === 2 ? addressOf(labels[0]!) : undefined;
  if (address === undefined) return reply(asked, flags, RCODE.noSuchName);
  const isAsked = question.type === TYPE.A || question.type === TYPE.ANY;
  return reply(asked, flags, RCODE.ok, isAsked ? parseAddress(address) : undefined);
}

function readQuestion(query: Uint8Array, view: DataView): Question | undefined {
  const labels: string[] = [];
  let at = HEADER;
  for (;;) {
    const length = query[at++];
    if (length === undefined || length > MAX_LABEL) return undefined; // cut off, or compressed
    if (length === 0) break;
    if (at + length > query.length || at + length - HEADER > MAX_NAME) return undefined;
    labels.push(String.fromCharCode(...query.subarray(at, at + length)));
    at += length;
  }
  if (at + 4 > query.length) return undefined;
  return { labels, type: view.getUint16(at), class: view.getUint16(at + 2), end: at + 4 };
}

/** `asked`: header and question of the query, which the answer repeats. `address`: 4 bytes. */
function reply(asked: Uint8Array, flags: number, rcode: number, address?: Uint8Array): Uint8Array {
  const record = address?.length === 4 ? addressRecord(address) : new Uint8Array(0);
  const message = new Uint8Array(asked.length + record.length);
  message.set(asked);
  message.set(record, asked.length);
  const view = new DataView(message.buffer);
  const repeated = flags & (FLAG.opcode | RECURSION_DESIRED);
  view.setUint16(2, FLAG.response | FLAG.authoritative | repeated | rcode);
  view.setUint16(6, record.length === 0 ? 0 : 1);
  view.setUint16(10, 0);
  return message;
}

/** Section 4.1.3; its name is a pointer to that of the question (section 4.1.4). */
function addressRecord(address: Uint8Array): Uint8Array {
  const record = new Uint8Array(16);
  const view = new DataView(record.buffer);
  view.setUint16(0, 0xc000 | HEADER);
  view.setUint16(2, TYPE.A);
  view.setUint16(4, CLASS_IN);
  view.setUint32(6, TTL);
  view.setUint16(10, address.length);
  record.set(address, 12);
  return record;
}
