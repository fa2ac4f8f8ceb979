import { createSecureContext } from 'node:tls';

/** Certificates that their authorities have revoked: X.509 lists (RFC 5280, section 5). */
export interface RevocationLists {
  /** Each in PEM. */
  readonly lists: readonly string[];
  /** When the first of them begins and ends to be one to go by, ms since 1970. */
  readonly from: number;
  readonly until: number;
}

const PEM = /-----BEGIN X509 CRL-----([\sA-Za-z0-9+/=]*?)-----END X509 CRL-----/g;

/** Throws for what is no list, or does not say when the next one comes. */
export function parseRevocationLists(text: string): RevocationLists {
  const lists = [...text.matchAll(PEM)];
  if (lists.length === 0) throw new Error('none');
  const times = lists.map(([pem, base64]) => {
    createSecureContext({ crl: pem }); // reads all of it, which the dates alone do not
    return timesOf(Buffer.from(base64!, 'base64'));
  });
  return {
    lists: lists.map(([pem]) => pem),
    from: Math.max(...times.map(({ from }) => from)),
    until: Math.min(...times.map(({ until }) => until)),
  };
}

const INTEGER = 0x02;
const UTC_TIME = 0x17;
const GENERALIZED_TIME = 0x18;
const SEQUENCE = 0x30;

interface Element {
  readonly tag: number;
  readonly content: Buffer;
  readonly rest: Buffer;
}

/** thisUpdate and nextUpdate of a CertificateList. */
function timesOf(list: Buffer): { readonly from: number; readonly until: number } {
  const signed = expectTag(elementOf(expectTag(elementOf(list), SEQUENCE).content), SEQUENCE);
  let next = elementOf(signed.content);
  if (next.tag === INTEGER) next = elementOf(next.rest); // the version
  const issuer = elementOf(expectTag(next, SEQUENCE).rest); // behind the algorithm
  const from = elementOf(expectTag(issuer, SEQUENCE).rest);
  return { from: timeOf(from), until: timeOf(elementOf(from.rest)) };
}

/** The first element of DER (X.690). */
function elementOf(der: Buffer): Element {
  const [tag = 0, short = 0] = der;
  const more = short < 0x80 ? 0 : short & 0x7f;
  if (der.length < 2 + more || more > 4) throw new Error('cut off');
  const length = more === 0 ? short : der.readUIntBE(2, more);
  const end = 2 + more + length;
  if (der.length < end) throw new Error('cut off');
  return { tag, content: der.subarray(2 + more, end), rest: der.subarray(end) };
}

function expectTag(element: Element, tag: number): Element {
  if (element.tag !== tag) throw new Error('another element');
  return element;
}

/** In UTC and to the second, as certificates and lists must have it (RFC 5280, section 4.1.2.5). */
function timeOf({ tag, content }: Element): number {
  const digits = /^(\d{2,4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(content.toString('latin1'));
  const isShort = tag === UTC_TIME && content.length === 13;
  const isLong = tag === GENERALIZED_TIME && content.length === 15;
  if (digits === null || !(isShort || isLong)) throw new Error('no time');
  const [year, month, day, hour, minute, second] = digits.slice(1).map(Number) as [
    ...[number, number, number, number, number, number],
  ];
  const century = isLong ? 0 : year < 50 ? 2000 : 1900;
  return Date.UTC(century + year, month - 1, day, hour, minute, second);
}
