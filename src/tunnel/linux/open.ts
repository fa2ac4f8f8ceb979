import { addAddress } from '../../io/linux/addresses.ts';
import { Link } from '../../io/linux/link.ts';
import { unsupported } from '../../io/linux/syscalls.ts';
import { Tun } from '../../io/linux/tun.ts';
import { UdpSocket } from '../../io/linux/udp.ts';
import { LinuxUdpPort } from '../../io/linux/udp-port.ts';
import { MAX_LANES } from '../../session/limits.ts';
import { parseAddress } from '../../wire/address-text.ts';
import type { Prefix } from '../../wire/prefix.ts';
import { explain } from '../explain.ts';
import {
  DEFAULT_MTU,
  initialChange,
  type Key,
  maxPeersOf,
  parsePrefixOption,
  type TunnelOptions,
} from '../options.ts';
import { TunnelError } from '../tunnel.ts';
import { LinuxTunnel } from './linux-tunnel.ts';
import { OFFLOADS, type OffloadOptions, parseOffloads } from './offloads.ts';
import { TunDevice } from './tun-device.ts';
import type { WorkerEngineOptions } from './worker-engine.ts';
import { defaultWorkerPairs, isWorkerPairs } from './worker-pairs.ts';

/** The library's options, and what only a TUN device has. */
export interface LinuxTunnelOptions
  extends Omit<TunnelOptions, 'privateKey'>,
    Omit<WorkerEngineOptions, 'udpSegmentation' | 'maxPeers'> {
  /** A tunnel may get its key later, through `configure`. */
  readonly privateKey?: Key;
  /** Descriptor of an open TUN device to use instead of creating one (WG_TUN_FD). */
  readonly tunDescriptor?: number;
  /** Set the interface up; default: if `addresses` are given. */
  readonly up?: boolean;
  /** Default: what the environment variable MESH_OFFLOADS lists, or all. */
  readonly offloads?: OffloadOptions;
}

/**
 * Opens a tunnel on a TUN device with the data path in pairs of worker threads. Needs CAP_NET_ADMIN.
 * Name 'wg%d' lets the kernel number the interface. Rejects with a `TunnelError`; nothing is left
 * behind then.
 */
export async function openLinuxTunnel(options: LinuxTunnelOptions): Promise<LinuxTunnel> {
  const reason = unsupported();
  if (reason !== undefined) throw new TunnelError('not_supported', `TUN devices: ${reason}`);
  const workerPairs = options.workerPairs ?? defaultWorkerPairs();
  if (!isWorkerPairs(workerPairs)) {
    throw new TunnelError(
      'invalid_argument',
      `workerPairs: expected a whole number from 1 to ${MAX_LANES}, got ${workerPairs}`,
    );
  }
  // Everything is checked before anything is opened.
  if (options.device !== undefined || options.port !== undefined) {
    throw new TunnelError(
      'invalid_argument',
      'device, port: only a userspace tunnel has its packets and datagrams pass through this process',
    );
  }
  const maxPeers = maxPeersOf(options.maxPeers);
  const addresses = (options.addresses ?? []).map((text, i) => interfaceAddress(i, text));
  const offloads = options.offloads ?? offloadsOfEnvironment();
  const change = initialChange({ ...options, privateKey: options.privateKey ?? NO_KEY });
  const opened: { close(): void }[] = [];
  const keep = <T extends { close(): void }>(resource: T): T => {
    opened.unshift(resource);
    return resource;
  };
  let tunnel: LinuxTunnel;
  try {
    const { tunDescriptor } = options;
    const tun = keep(openTun(options, offloads, workerPairs));
    if (options.workerPairs !== undefined && tun.fds.length < options.workerPairs) {
      options.log?.('the TUN device was given with one queue, so there is one pair of workers');
    }
    const link = keep(new Link(tun));
    // A device that was given keeps its MTU, unless told otherwise.
    const mtu = options.mtu ?? (tunDescriptor === undefined ? DEFAULT_MTU : undefined);
    if (mtu !== undefined) link.setMtu(mtu);
    const name = tun.name();
    if (name !== undefined) for (const address of addresses) addAddress(name, address);
    if (options.up ?? addresses.length > 0) link.setUp(true);
    const udp = keep(
      new UdpSocket({
        port: options.listenPort ?? 0,
        fwmark: options.fwmark ?? 0,
        gro: offloads.udpGro ?? true,
        sockets: tun.fds.length,
      }),
    );
    const state = link.refresh();
    if (state === undefined) throw new TunnelError('closed', 'the interface was deleted meanwhile');
    const device = new TunDevice(tun, link, state, (message) => options.log?.(message));
    const settings = { ...options, maxPeers, udpSegmentation: offloads.udpSegmentation ?? true };
    tunnel = new LinuxTunnel(settings, device, new LinuxUdpPort(udp));
    await tunnel.start();
  } catch (error) {
    for (const resource of opened) resource.close();
    throw explain(error);
  }
  try {
    const { listenPort: _bound, fwmark: _set, ...rest } = change;
    await tunnel.configure(rest);
  } catch (error) {
    await tunnel.close();
    throw error;
  }
  return tunnel;
}

/** Throws what `openLinuxTunnel` would for want of rights, or for the name. Nothing is left behind. */
export function assertCanOpenTun(name: string): void {
  const reason = unsupported();
  if (reason !== undefined) throw new TunnelError('not_supported', `TUN devices: ${reason}`);
  try {
    openTun({ name }, offloadsOfEnvironment(), defaultWorkerPairs()).close();
  } catch (error) {
    throw explain(error);
  }
}

function openTun(
  { name = DEFAULT_NAME, tunDescriptor }: Pick<LinuxTunnelOptions, 'name' | 'tunDescriptor'>,
  { tunTcp = true, tunUdp = true }: OffloadOptions,
  queues: number,
): Tun {
  return new Tun({
    name,
    ...(tunDescriptor === undefined ? {} : { descriptor: tunDescriptor }),
    offloads: { vnetHeader: tunTcp || tunUdp, tcp: tunTcp, udp: tunUdp },
    queues,
  });
}

/** '10.0.0.1/24' with its host part, which a prefix would not keep. */
function interfaceAddress(i: number, text: string): Prefix {
  const { length } = parsePrefixOption(`addresses[${i}]`, text);
  return { address: parseAddress(text.replace(/\/.*/, ''))!, length };
}

function offloadsOfEnvironment(): OffloadOptions {
  const list = process.env[OFFLOADS];
  if (list === undefined || list === '') return {};
  try {
    return parseOffloads(OFFLOADS, list);
  } catch (error) {
    throw new TunnelError('invalid_argument', (error as Error).message);
  }
}

const DEFAULT_NAME = 'wg0';
const NO_KEY = new Uint8Array(32);
