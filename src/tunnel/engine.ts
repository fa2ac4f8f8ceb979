import type { PacketMemory } from '../datapath/memory.ts';
import { DEVICE, DROP_REASONS } from '../datapath/memory.ts';
import type { DeviceChange } from '../device/config.ts';
import type { Device } from '../device/device.ts';
import type { DatagramPort, DeviceState } from '../io/ports.ts';

/** Own tuning: the sending keypair, eight received on, and room for changes under way. */
export const KEYPAIRS_PER_PEER = 10;

/**
 * Device and data path together, wherever the data path runs, as the driver needs them. `now` is ms
 * of the monotonic clock. `done` is called when a change is in force on every data thread.
 */
export interface Engine {
  readonly device: Pick<
    Device,
    'privateKey' | 'publicKey' | 'peerStatus' | 'handshakesDatedUntil' | 'rejects'
  >;
  /** Throws a `TunnelError` if the change is invalid; nothing has changed then. */
  configure(change: DeviceChange, now: number, done: () => void): void;
  expireKeypairs(before: number, now: number, done: () => void): void;
  expireAllSessions(now: number): void;
  /** See `Tunnel.extendLease`. */
  extendLease(until: number, now: number): void;
  /** The interface has changed, or is told of for the first time. */
  deviceChanged(state: DeviceState, now: number): void;
  /** The socket has changed, or is told of for the first time. */
  portChanged(port: Pick<DatagramPort, 'port' | 'fwmark'>): void;
  /** Acts on handshakes and timers that are due. */
  poll(now: number): void;
  /** When to call `poll` next, at the latest. */
  nextPoll(now: number): number;
  /** Resolves when the data threads have carried out all they were told so far. */
  settled(): Promise<void>;
  /** Packets and messages not acted on, by reason; reasons that never occurred are left out. */
  drops(): Record<string, number>;
  /** Stops the data path, then wipes all keys. */
  close(now: number): Promise<void>;
}

/** What the data threads must know of the socket. */
export function writePort(
  memory: PacketMemory,
  { port, fwmark }: Pick<DatagramPort, 'port' | 'fwmark'>,
): void {
  Atomics.store(memory.i32, DEVICE.port >> 2, port);
  Atomics.store(memory.i32, DEVICE.fwmark >> 2, fwmark);
}

/** What the data path and the device have dropped. */
export function countDrops(
  memory: PacketMemory,
  rejects: Readonly<Record<string, number>>,
): Record<string, number> {
  const counts: Record<string, number> = { ...rejects };
  for (const reason of DROP_REASONS) counts[reason] = memory.drops(reason);
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));
}
