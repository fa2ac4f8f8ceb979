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
