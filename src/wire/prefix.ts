/** An allowed-ips entry: `address` is 4 or 16 bytes with the host bits zero. */
export interface Prefix {
  readonly address: Uint8Array;
  /** Prefix length in bits. */
  readonly length: number;
}

/** The same prefix with its host bits cleared. */
export function maskPrefix(prefix: Prefix): Prefix {
  const address = new Uint8Array(prefix.address);
  for (let i = 0; i < address.length; i++) {
    const bits = Math.min(8, Math.max(0, prefix.length - i * 8));
    address[i] = address[i]! & (0xff00 >> bits);
  }
  return { address, length: prefix.length };
}

/** Whether an address (4 or 16 bytes) lies in the prefix. */
export function prefixContains({ address: network, length }: Prefix, address: Uint8Array): boolean {
  if (address.length !== network.length) return false;
  const masked = maskPrefix({ address, length }).address;
  return maskPrefix({ address: network, length }).address.every((byte, i) => byte === masked[i]);
}
