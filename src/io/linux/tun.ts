import {
  F_GETFL,
  F_SETFD,
  F_SETFL,
  FD_CLOEXEC,
  IFF_MULTI_QUEUE,
  IFF_NO_PI,
  IFF_TUN,
  IFF_TUN_EXCL,
  IFF_VNET_HDR,
  IFNAMSIZ,
  IFREQ_LENGTH,
  O_NONBLOCK,
  O_RDWR,
  TUN_F_CSUM,
  TUN_F_TSO4,
  TUN_F_TSO6,
  TUN_F_USO4,
  TUN_F_USO6,
  TUNGETDEVNETNS,
  TUNGETIFF,
  TUNSETIFF,
  TUNSETOFFLOAD,
  TUNSETVNETHDRSZ,
  VNET_HEADER_LENGTH,
} from './constants.ts';
import { ERRNO, must } from './errno.ts';
import { openPath } from './namespace.ts';
import { NativeBuffer, syscalls } from './syscalls.ts';

/** What the TUN device does with large packets, in both directions. */
export interface TunOffloads {
  /** Every packet has a virtio-net header in front (IFF_VNET_HDR). */
  readonly vnetHeader: boolean;
  /** TCP super-packets of both IP versions (TSO4, TSO6). */
  readonly tcp: boolean;
  /** UDP super-packets of both IP versions (USO4, USO6; Linux 6.2). */
  readonly udp: boolean;
}

export interface TunOptions {
  /** Wanted interface name; 'wg%d' lets the kernel number it. Ignored with `descriptor`. */
  readonly name: string;
  /** An open TUN descriptor to take over instead of creating an interface (WG_TUN_FD). */
  readonly descriptor?: number;
  /** What to ask for; the kernel may give less. */
  readonly offloads: TunOffloads;
  /**
   * Wanted number of queues, each with a descriptor of its own; the kernel keeps a flow on one.
   * Default 1, which is also what a device has that was given or that somebody else made with one.
   */
  readonly queues?: number;
}

/** Interface names the kernel accepts: 1 to 15 bytes, no slash, no white space, not . or .. */
export function isInterfaceName(name: string): boolean {
  return (
    /^[^\s/:]{1,15}$/.test(name) && Buffer.byteLength(name) < IFNAMSIZ && !/^\.\.?$/.test(name)
  );
}

/**
 * A TUN device. The descriptors are non-blocking; reads and writes are the data workers' business.
 * Closing them deletes the interface, unless somebody else made the device persistent.
 */
export class Tun {
  /** One for each queue. */
  readonly fds: readonly number[];
  readonly offloads: TunOffloads;
  private readonly request = new NativeBuffer(IFREQ_LENGTH);
  private readonly requestAt = this.request.at(0);
  private open = true;

  constructor(options: TunOptions) {
    const calls = syscalls();
    const fds = [options.descriptor ?? openDevice()];
    this.fds = fds;
    try {
      let vnetHeader: boolean;
      if (options.descriptor === undefined) {
        vnetHeader = options.offloads.vnetHeader;
        this.create(options.name, vnetHeader, options.queues ?? 1, fds);
      } else {
        vnetHeader = this.adopt();
      }
      // Header size and offloads belong to the device, whatever queue they are set through.
      this.offloads = vnetHeader
        ? this.negotiate(options.offloads)
        : { vnetHeader: false, tcp: false, udp: false };
    } catch (error) {
      if (options.descriptor === undefined) for (const fd of fds) calls.close(fd);
      throw error;
    }
  }

  /** The first queue's. */
  get fd(): number {
    return this.fds[0]!;
  }

  /** Attaches the first of `fds`, which is open, and opens and attaches the others. */
  private create(name: string, vnetHeader: boolean, queues: number, fds: number[]): void {
    if (!isInterfaceName(name)) throw new RangeError(`not an interface name: ${name}`);
    const kind = IFF_TUN | IFF_NO_PI | (vnetHeader ? IFF_VNET_HDR : 0);
    if (queues === 1) {
      mustAttach(this.attach(this.fd, name, kind), name);
      return;
    }
    const several = kind | IFF_MULTI_QUEUE;
    const result = this.attach(this.fd, name, several | IFF_TUN_EXCL);
    if (result === -ERRNO.EBUSY) {
      // It exists. One that somebody made with one queue, and does not use, is taken with one.
      const single = this.attach(this.fd, name, kind);
      mustAttach(single === -ERRNO.EINVAL ? result : single, name);
      return;
    }
    mustAttach(result, name);
    const { u8 } = this.request;
    const given = new TextDecoder().decode(u8.slice(0, u8.indexOf(0))); // 'wg%d' numbered
    while (fds.length < queues) {
      fds.push(openDevice());
      mustAttach(this.attach(fds.at(-1)!, given, several), given);
    }
  }

  private attach(fd: number, name: string, flags: number): number {
    const { u8, view } = this.request;
    u8.fill(0);
    new TextEncoder().encodeInto(name, u8);
    view.setUint16(IFNAMSIZ, flags, true);
    return syscalls().ioctl(fd, TUNSETIFF, this.requestAt);
  }

  private adopt(): boolean {
    const calls = syscalls();
    must(calls.ioctl(this.fd, TUNGETIFF, this.requestAt), 'TUNGETIFF', {
      EBADF: `descriptor ${this.fd} is not open`,
      ENOTTY: `descriptor ${this.fd} is not a TUN device`,
      EBADFD: `descriptor ${this.fd} has no interface attached`,
    });
    const flags = this.request.view.getUint16(IFNAMSIZ, true);
    if ((flags & IFF_TUN) === 0 || (flags & IFF_NO_PI) === 0) {
      throw new Error('the given TUN descriptor must be in mode IFF_TUN | IFF_NO_PI');
    }
    const status = must(calls.fcntl(this.fd, F_GETFL, 0), 'F_GETFL');
    must(calls.fcntl(this.fd, F_SETFL, status | O_NONBLOCK), 'F_SETFL');
    must(calls.fcntl(this.fd, F_SETFD, FD_CLOEXEC), 'F_SETFD');
    return (flags & IFF_VNET_HDR) !== 0;
  }

  /** Turns on as much as the kernel knows: older ones have no USO, very old ones no TSO here. */
  private negotiate(wanted: TunOffloads): TunOffloads {
    this.request.view.setInt32(0, VNET_HEADER_LENGTH, true);
    must(syscalls().ioctl(this.fd, TUNSETVNETHDRSZ, this.requestAt), 'TUNSETVNETHDRSZ');
    const tcp = wanted.tcp ? TUN_F_TSO4 | TUN_F_TSO6 : 0;
    const udp = wanted.udp ? TUN_F_USO4 | TUN_F_USO6 : 0;
    for (const flags of [tcp | udp, tcp, udp]) {
      if (flags !== 0 && this.setOffloads(TUN_F_CSUM | flags) === 0) {
        return {
          vnetHeader: true,
          tcp: (flags & TUN_F_TSO4) !== 0,
          udp: (flags & TUN_F_USO4) !== 0,
        };
      }
    }
    this.setOffloads(0);
    return { vnetHeader: true, tcp: false, udp: false };
  }

  private setOffloads(flags: number): number {
    return syscalls().ioctl(this.fd, TUNSETOFFLOAD, BigInt(flags)); // by value, not by pointer
  }

  /** The interface's present name, or undefined once it was deleted. */
  name(): string | undefined {
    const result = syscalls().ioctl(this.fd, TUNGETIFF, this.requestAt);
    if (result < 0) return undefined;
    const { u8 } = this.request;
    return new TextDecoder().decode(u8.slice(0, u8.indexOf(0)));
  }

  /**
   * A descriptor of the network namespace the interface is in now (Linux 5.5), or a negative
   * errno: EBADFD once the interface was deleted, EPERM without CAP_NET_ADMIN there.
   */
  namespace(): number {
    return syscalls().ioctl(this.fd, TUNGETDEVNETNS, 0n);
  }

  close(): void {
    if (!this.open) return;
    this.open = false;
    for (const fd of this.fds) syscalls().close(fd);
  }
}

function mustAttach(result: number, name: string): void {
  must(result, 'TUNSETIFF', {
    EPERM: 'needs CAP_NET_ADMIN; run as root or use userspace mode',
    EBUSY: `interface ${name} is in use by another process`,
    EINVAL: `an interface ${name} exists that is not a TUN device of this kind`,
  });
}

function openDevice(): number {
  return must(openPath('/dev/net/tun', O_RDWR | O_NONBLOCK), 'open /dev/net/tun', {
    ENOENT: 'this system has no TUN device; load the tun module or use userspace mode',
    ENODEV: 'the tun module is not loaded; run modprobe tun or use userspace mode',
    EPERM: 'not permitted here; run as root or use userspace mode',
    EACCES: 'not permitted here; run as root or use userspace mode',
  });
}
