/** An allowed-ips entry: `address` is 4 or 16 bytes with the host bits zero. */
export interface Prefix {
  readonly address: Uint8Array;
  /** Prefix length in bits. */
  readonly length: number;
}
