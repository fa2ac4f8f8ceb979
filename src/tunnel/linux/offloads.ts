/** Which offloads to ask for. All on by default; what the kernel refuses is off by itself. */
export interface OffloadOptions {
  /** Super-packets of TCP and of UDP to and from the TUN device (virtio-net headers). */
  readonly tunTcp?: boolean;
  readonly tunUdp?: boolean;
  /** Batches of datagrams leave in one call (UDP_SEGMENT). */
  readonly udpSegmentation?: boolean;
  /** Batches of datagrams arrive in one call (UDP_GRO). */
  readonly udpGro?: boolean;
}

/** Environment variable with a list for {@link parseOffloads}, where options name none. */
export const OFFLOADS = 'MESH_OFFLOADS';

/** What people and status call them. */
const NAMES: Readonly<Record<keyof OffloadOptions, string>> = {
  tunTcp: 'tun-tcp',
  tunUdp: 'tun-udp',
  udpSegmentation: 'udp-segment',
  udpGro: 'udp-gro',
};

/** The names of those that are on. */
export function offloadNames(options: Required<OffloadOptions>): string[] {
  const keys = Object.keys(NAMES) as (keyof OffloadOptions)[];
  return keys.filter((key) => options[key]).map((key) => NAMES[key]);
}

/** Reads 'all', 'none' or names with commas between. Throws RangeError, with `source` named. */
export function parseOffloads(source: string, text: string): Required<OffloadOptions> {
  const known = Object.values(NAMES);
  const wanted = text === 'all' ? known : text === 'none' ? [] : text.split(',');
  if (wanted.some((name) => !known.includes(name))) {
    throw new RangeError(
      `${source} is ${JSON.stringify(text)}; expected all, none or some of ${known.join(',')}`,
    );
  }
  const isOn = (key: keyof OffloadOptions) => wanted.includes(NAMES[key]);
  return {
    tunTcp: isOn('tunTcp'),
    tunUdp: isOn('tunUdp'),
    udpSegmentation: isOn('udpSegmentation'),
    udpGro: isOn('udpGro'),
  };
}
