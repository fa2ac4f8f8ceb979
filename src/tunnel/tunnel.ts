import type { DeviceChange, DeviceStatus } from '../device/config.ts';

export { TunnelError, type TunnelErrorCode } from '../device/tunnel-error.ts';

/** A running tunnel: a device with its data path and its I/O. `createTunnel` makes one. */
export interface Tunnel {
  /** Interface name, or the given label in userspace mode. */
  readonly name: string;
  /** 'linux': TUN device and data workers. 'userspace': inside this process, no root needed. */
  readonly mode: 'linux' | 'userspace';
  /**
   * Checks the whole change, then applies it. Resolves when it is in force on every data thread:
   * a removed peer can neither send nor receive from then on.
   * Rejects with a `TunnelError` naming the field; nothing has changed then.
   */
  configure(change: DeviceChange): Promise<void>;
  status(): DeviceStatus;
  /** Zeroes keypairs of all peers made before generation `before`. Resolves as `configure`. */
  expireKeypairs(before: number): Promise<void>;
  /**
   * Keys may be used until then (boot clock, seconds: `os.uptime()`). From the first call on the data
   * path lets go of all keypairs by itself when that time has passed, at most a second later, even
   * if this thread stands still; peers stay configured, and handshakes bring sessions back once the
   * lease was extended again.
   */
  extendLease(until: number): void;
  /** Ends it and frees everything: threads, sockets, the interface if it was created here. */
  close(): Promise<void>;
  /** Settles when the tunnel has ended: undefined after `close` or interface deletion, else the error. */
  readonly closed: Promise<Error | undefined>;
}
