import { fstatSync, statSync } from 'node:fs';
import type { DeviceState } from '../ports.ts';
import {
  AF_INET,
  AF_NETLINK,
  IFF_UP,
  IFNAMSIZ,
  IFREQ_LENGTH,
  NETLINK_ROUTE,
  RTMGRP_LINK,
  SIOCGIFFLAGS,
  SIOCGIFINDEX,
  SIOCGIFMTU,
  SIOCSIFFLAGS,
  SIOCSIFMTU,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_RAW,
} from './constants.ts';
import { ERRNO, must, SystemCallError } from './errno.ts';
import { foreignLink } from './foreign-link.ts';
import { inNamespace } from './namespace.ts';
import { callScratch, NativeBuffer, syscalls } from './syscalls.ts';
import type { Tun } from './tun.ts';

/**
 * Follows the interface of a TUN device: its name, MTU and up/down, wherever it is moved.
 *
 * Link events arrive on a netlink socket, which belongs to one namespace for good. The events are
 * only a hint to look again: after each, `refresh` asks the TUN device which namespace its
 * interface is in now, and moves over there if that has changed. The socket is opened in one
 * synchronous step on the calling thread (setns there and back).
 */
export class Link {
  /**
   * Netlink socket to wait on for POLLIN. Another one when the interface has changed its namespace;
   * the earlier one then stays open until `releaseRetired`.
   */
  eventFd = -1;
  /**
   * Why its present namespace cannot be entered, if so. No events come from there then, and
   * whoever wants to know calls `refresh` from time to time.
   */
  blind: string | undefined;
  private readonly tun: Tun;
  private controlFd = -1;
  /** Event sockets of namespaces that were left; somebody may still be waiting on them. */
  private readonly retired: number[] = [];
  private namespaceInode: bigint | undefined;
  private readonly request = new NativeBuffer(IFREQ_LENGTH);
  private readonly requestAt = this.request.at(0);
  private last: DeviceState | undefined;

  constructor(tun: Tun) {
    this.tun = tun;
  }

  /** The interface's state now, or undefined once it was deleted. */
  refresh(): DeviceState | undefined {
    // The interface may be moved or renamed between finding it and looking at it: look again.
    for (let attempt = 0; attempt < 3; attempt++) {
      const name = this.tun.name();
      if (name === undefined) return undefined;
      if (!this.follow()) {
        this.last = this.lookFromHere(name) ?? this.last;
        return this.last;
      }
      if (this.ioctl(name, SIOCGIFMTU) >= 0) {
        const mtu = this.request.view.getInt32(IFNAMSIZ, true);
        if (this.ioctl(name, SIOCGIFFLAGS) >= 0) {
          const up = (this.request.view.getUint16(IFNAMSIZ, true) & IFF_UP) !== 0;
          this.last = { name, mtu, up, index: this.index(name) };
          return this.last;
        }
      }
    }
    return this.tun.name() === undefined ? undefined : this.last;
  }

  private index(name: string): number {
    const isElsewhere = this.namespaceInode !== undefined && this.namespaceInode !== ownNamespace();
    if (isElsewhere || this.ioctl(name, SIOCGIFINDEX) < 0) return 0;
    return this.request.view.getInt32(IFNAMSIZ, true);
  }

  private lookFromHere(name: string): DeviceState | undefined {
    const descriptor = this.tun.namespace();
    if (descriptor < 0) return undefined;
    try {
      return { name, index: 0, ...foreignLink(descriptor, name) };
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      return undefined; // no CAP_NET_ADMIN over there either: what was known last stays
    } finally {
      syscalls().close(descriptor);
    }
  }

  /**
   * Runs `body` in the interface's network namespace: sockets that it opens belong there for good.
   * `body` must be synchronous. Throws a SystemCallError where that namespace cannot be entered.
   */
  inNamespace<T>(body: () => T): T {
    const descriptor = this.tun.namespace();
    if (descriptor < 0) return body(); // Linux before 5.5: assume it never moved
    try {
      const isHere = fstatSync(descriptor, { bigint: true }).ino === ownNamespace();
      return isHere ? body() : inNamespace(descriptor, body);
    } finally {
      syscalls().close(descriptor);
    }
  }

  /** Sets the MTU (bytes of the inner packet). */
  setMtu(mtu: number): void {
    this.change(SIOCSIFMTU, 'SIOCSIFMTU', () => this.request.view.setInt32(IFNAMSIZ, mtu, true), {
      EINVAL: `the kernel refuses an MTU of ${mtu}`,
    });
  }

  setUp(up: boolean): void {
    const name = this.tun.name();
    const known = name !== undefined && this.follow() && this.ioctl(name, SIOCGIFFLAGS) >= 0;
    if (!known) throw new SystemCallError('SIOCGIFFLAGS', ERRNO.ENODEV);
    const before = this.request.view.getUint16(IFNAMSIZ, true);
    this.change(SIOCSIFFLAGS, 'SIOCSIFFLAGS', () => {
      // All flags are set at once: NOARP and MULTICAST, which the interface was made with, stay.
      this.request.view.setUint16(IFNAMSIZ, up ? before | IFF_UP : before & ~IFF_UP, true);
    });
  }

  private change(
    request: number,
    call: string,
    fill: () => void,
    advice?: Readonly<Record<string, string>>,
  ): void {
    const name = this.tun.name();
    if (name === undefined || !this.follow()) throw new SystemCallError(call, ERRNO.ENODEV);
    this.fillName(name);
    fill();
    must(syscalls().ioctl(this.controlFd, request, this.requestAt), call, {
      EPERM: 'needs CAP_NET_ADMIN',
      ...advice,
    });
  }

  private fillName(name: string): void {
    this.request.u8.fill(0);
    new TextEncoder().encodeInto(name, this.request.u8);
  }

  private ioctl(name: string, request: number): number {
    this.fillName(name);
    return syscalls().ioctl(this.controlFd, request, this.requestAt);
  }

  /** Makes sure the sockets are in the interface's namespace. False if that cannot be. */
  private follow(): boolean {
    const descriptor = this.tun.namespace();
    if (descriptor < 0) {
      // Linux before 5.5, or no CAP_NET_ADMIN over the namespace: assume it never moved.
      if (this.controlFd < 0) this.openSockets();
      return true;
    }
    try {
      const inode = fstatSync(descriptor, { bigint: true }).ino;
      if (inode === this.namespaceInode) return true;
      this.leaveSockets();
      if (inode === ownNamespace()) this.openSockets();
      else inNamespace(descriptor, () => this.openSockets());
      this.namespaceInode = inode;
      this.blind = undefined;
      return true;
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      this.blind = error.message;
      return false;
    } finally {
      syscalls().close(descriptor);
    }
  }

  private openSockets(): void {
    const calls = syscalls();
    const flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
    this.controlFd = must(calls.socket(AF_INET, SOCK_DGRAM | flags, 0), 'socket');
    const events = must(
      calls.socket(AF_NETLINK, SOCK_RAW | flags, NETLINK_ROUTE),
      'socket netlink',
    );
    this.eventFd = events;
    // struct sockaddr_nl { u16 family; u16 pad; u32 pid; u32 groups }
    const address = callScratch();
    address.view.setUint16(0, AF_NETLINK, true);
    address.view.setUint32(8, RTMGRP_LINK, true);
    must(calls.bind(events, address.at(0), 12), 'bind netlink');
  }

  private leaveSockets(): void {
    if (this.eventFd >= 0) this.retired.push(this.eventFd);
    if (this.controlFd >= 0) syscalls().close(this.controlFd);
    this.eventFd = -1;
    this.controlFd = -1;
    this.namespaceInode = undefined;
  }

  /** Nobody waits on an earlier `eventFd` any more: closes those. */
  releaseRetired(): void {
    for (const fd of this.retired.splice(0)) syscalls().close(fd);
  }

  close(): void {
    this.leaveSockets();
    this.releaseRetired();
  }
}

function ownNamespace(): bigint {
  return statSync('/proc/thread-self/ns/net', { bigint: true }).ino;
}
