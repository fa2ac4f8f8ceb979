/**
 * A UDP endpoint of a peer, together with the local address it was reached on (sticky source).
 * In shared memory it has a fixed 48-byte form so that both data workers can read it.
 */
export interface Endpoint {
  readonly family: 4 | 6;
  /** 4 or 16 bytes, network order. */
  readonly address: Uint8Array;
  readonly port: number;
  /** IPv6 scope id (interface index of a link-local address), else 0. */
  readonly scope: number;
  /** Local address the peer spoke to, if known: same family and length as `address`. */
  readonly source?: Uint8Array;
  /** Interface index the packet came in on, 0 if unknown. */
  readonly sourceInterface?: number;
}

/** Layout of an endpoint in memory (all integers little-endian). */
export const ENDPOINT = {
  /** u16: 0 none, 4 or 6 */
  family: 0,
  /** u16 */
  port: 2,
  /** u32 */
  scope: 4,
  /** 16 bytes, IPv4 in the first 4 */
  address: 8,
  /** u16: 1 if `source` is set */
  hasSource: 24,
  /** u32 */
  sourceInterface: 28,
  /** 16 bytes */
  source: 32,
  length: 48,
} as const;

/** Writes `endpoint` to byte `offset` of the memory; unused bytes become zero. */
export function encodeEndpoint(memory: Uint8Array, offset: number, endpoint: Endpoint): void {
  const view = new DataView(memory.buffer, memory.byteOffset + offset, ENDPOINT.length);
  memory.fill(0, offset, offset + ENDPOINT.length);
  view.setUint16(ENDPOINT.family, endpoint.family, true);
  view.setUint16(ENDPOINT.port, endpoint.port, true);
  view.setUint32(ENDPOINT.scope, endpoint.scope, true);
  memory.set(endpoint.address, offset + ENDPOINT.address);
  if (endpoint.source === undefined) return;
  view.setUint16(ENDPOINT.hasSource, 1, true);
  view.setUint32(ENDPOINT.sourceInterface, endpoint.sourceInterface ?? 0, true);
  memory.set(endpoint.source, offset + ENDPOINT.source);
}

/** Reads the endpoint at byte `offset` of the memory; undefined if there is none. */
export function decodeEndpoint(memory: Uint8Array, offset: number): Endpoint | undefined {
  const view = new DataView(memory.buffer, memory.byteOffset + offset, ENDPOINT.length);
  const family = view.getUint16(ENDPOINT.family, true);
  if (family !== 4 && family !== 6) return undefined;
  const length = family === 4 ? 4 : 16;
  const bytes = (at: number): Uint8Array =>
    new Uint8Array(memory.subarray(offset + at, offset + at + length));
  const endpoint = {
    family,
    port: view.getUint16(ENDPOINT.port, true),
    scope: view.getUint32(ENDPOINT.scope, true),
    address: bytes(ENDPOINT.address),
  } as const;
  if (view.getUint16(ENDPOINT.hasSource, true) === 0) return endpoint;
  return {
    ...endpoint,
    source: bytes(ENDPOINT.source),
    sourceInterface: view.getUint32(ENDPOINT.sourceInterface, true),
  };
}

/** The endpoint without the local address that it was reached on: the route chooses one again. */
export function withoutSource({ family, address, port, scope }: Endpoint): Endpoint {
  return { family, address, port, scope };
}
