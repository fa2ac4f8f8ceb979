/**
 * `struct virtio_net_hdr` (virtio 1.2, section 5.1.6), which a TUN device opened with IFF_VNET_HDR
 * puts before every packet. Offsets in bytes; integers little-endian.
 */
export const VNET_HEADER = {
  flags: 0,
  gsoType: 1,
  /** Length of the headers before the first payload byte; a hint. */
  headerLength: 2,
  /** Payload bytes per segment. */
  gsoSize: 4,
  checksumStart: 6,
  checksumOffset: 8,
  length: 10,
} as const;

/** The checksum field holds the sum of the pseudo header only; the rest is to be added. */
export const VNET_NEEDS_CHECKSUM = 1;
export const VNET_GSO = { none: 0, tcp4: 1, tcp6: 4, udp: 5 } as const;
/** Added to the type where the first segment carries CWR. */
export const VNET_GSO_ECN = 0x80;
