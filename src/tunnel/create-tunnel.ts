import { TunnelError } from '../device/tunnel-error.ts';
import type { TunnelOptions } from './options.ts';
import type { Tunnel } from './tunnel.ts';
import { openUserspaceTunnel, type UserspaceTunnel } from './userspace-tunnel.ts';

export type {
  AllowedIpChange,
  DeviceChange,
  DeviceStatus,
  PeerChange,
  PeerStatus,
} from '../device/config.ts';
export { type EpochKeys, type PresharedKey, presharedKeyBytes } from '../device/preshared-key.ts';
export { captureDatagrams, capturePackets, type WriteCapture } from '../io/pcap.ts';
export type { DatagramCarrier, DeviceState, PacketDevice, PreparedChange } from '../io/ports.ts';
export {
  type TracedDatagram,
  type TracedPacket,
  traceDatagrams,
  tracePackets,
} from '../io/trace.ts';
export type { Endpoint } from '../wire/endpoint.ts';
export type { Prefix } from '../wire/prefix.ts';
export { type Key, type PeerOptions, peerChange, type TunnelOptions } from './options.ts';
export { type Tunnel, TunnelError, type TunnelErrorCode } from './tunnel.ts';
export type { UserspaceTunnel } from './userspace-tunnel.ts';

/**
 * Makes a WireGuard tunnel in this process.
 *
 * With `mode: 'userspace'` IP packets are given to `send` and come out at `onPacket`; no rights
 * are needed. With `mode: 'linux'` there is a network interface of that name; it gets `addresses`
 * and is set up if there are any, routes are the caller's business.
 *
 * Rejects with a `TunnelError`: `invalid_argument`, `not_permitted`, `address_in_use`,
 * `name_in_use`, `not_supported` or `system_call_failed`. Nothing is left behind then.
 */
export function createTunnel(
  options: TunnelOptions & { mode: 'userspace' },
): Promise<UserspaceTunnel>;
export function createTunnel(options: TunnelOptions): Promise<Tunnel | UserspaceTunnel>;
export async function createTunnel(options: TunnelOptions): Promise<Tunnel | UserspaceTunnel> {
  switch (options.mode ?? 'auto') {
    case 'userspace':
      return openUserspaceTunnel(options);
    case 'linux':
      return openLinux(options);
    case 'auto':
      if (process.platform !== 'linux' || options.device || options.port) {
        return openUserspaceTunnel(options);
      }
      try {
        return await openLinux(options);
      } catch (error) {
        const cannot =
          error instanceof TunnelError &&
          (error.code === 'not_permitted' || error.code === 'not_supported');
        if (cannot) return openUserspaceTunnel(options);
        throw error;
      }
    default:
      throw new TunnelError(
        'invalid_argument',
        `mode: expected 'auto', 'linux' or 'userspace', got ${JSON.stringify(options.mode)}`,
      );
  }
}

/** Loaded only here: it needs node:ffi, which userspace mode does without. */
async function openLinux(options: TunnelOptions): Promise<Tunnel> {
  const { openLinuxTunnel } = await import('./linux/open.ts');
  return openLinuxTunnel(options);
}
