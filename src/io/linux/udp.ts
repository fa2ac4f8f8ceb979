import {
  AF_INET,
  AF_INET6,
  IP_PKTINFO,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_RECVPKTINFO,
  IPV6_V6ONLY,
  O_CLOEXEC,
  SO_MARK,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_REUSEPORT,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOL_SOCKET,
  SOL_UDP,
  UDP_GRO,
} from './constants.ts';
import { ERRNO, must } from './errno.ts';
import { callScratch, syscalls } from './syscalls.ts';

/** Bytes asked for each socket buffer: some 5000 full datagrams, 20 ms at 3 Gbit/s. */
const SOCKET_BUFFER = 7 << 20;

export interface UdpOptions {
  /** 0 lets the kernel choose. */
  readonly port: number;
  /** SO_MARK, 0 = none. */
  readonly fwmark: number;
  /** Ask for several datagrams of one sender per recvmsg (UDP_GRO). */
  readonly gro: boolean;
  /**
   * Sockets on the port, default 1. The kernel hashes addresses and ports of a datagram to choose
   * one of them, so what a sender sends stays with one and in order.
   */
  readonly sockets?: number;
}

/**
 * A tunnel's UDP port: one IPv6 socket that takes IPv4 as well (as ::ffff:a.b.c.d), so that both
 * have the same port by construction and one poll entry serves both; an IPv4 socket where the
 * system has no IPv6. Every datagram comes with the local address it was sent to. Non-blocking.
 *
 * Several sockets share the port by SO_REUSEPORT, but only the others have it when they bind: the
 * first one binds alone, so that a port is refused that another program has, even another tunnel.
 *
 * The descriptors' numbers stay the same when the port changes: new sockets are put in their
 * places by dup3, so data workers that hold the number go on with the new one. A worker that waits
 * in poll at that moment still waits on the old socket and has to be woken.
 */
export class UdpSocket {
  readonly fds: readonly number[];
  /** AF_INET6 (dual stack) or AF_INET. */
  readonly family: number;
  /** False where the kernel knows no UDP_GRO or it was not asked for. */
  readonly gro: boolean;
  private mark: number;
  private boundPort: number;
  private open = true;

  constructor(options: UdpOptions) {
    const made = openSockets(AF_INET6, options) ?? openSockets(AF_INET, options);
    if (made === undefined) throw new Error('this system has neither IPv6 nor IPv4');
    this.fds = made.fds;
    this.family = made.family;
    this.gro = made.gro;
    this.boundPort = made.port;
    this.mark = options.fwmark;
  }

  /** The first one. */
  get fd(): number {
    return this.fds[0]!;
  }

  get port(): number {
    return this.boundPort;
  }

  get fwmark(): number {
    return this.mark;
  }

  /**
   * Opens another port (0: one the kernel chooses) beside the present one, with the firewall mark
   * that is to hold then. Throws if it is taken.
   * Exactly one of `commit`, which moves over and cannot fail, and `cancel` is to be called.
   */
  preparePort(port: number, fwmark = this.mark): { commit(): void; cancel(): void } {
    const { gro, fds } = this;
    const made = openSockets(this.family, { port, fwmark, gro, sockets: fds.length });
    if (made === undefined) throw new Error('the address family has gone away');
    return {
      commit: () => {
        fds.forEach((fd, i) => {
          must(syscalls().dup3(made.fds[i]!, fd, O_CLOEXEC), 'dup3');
        });
        closeAll(made.fds);
        this.boundPort = made.port;
      },
      cancel: () => {
        closeAll(made.fds);
      },
    };
  }

  setFwmark(mark: number): void {
    for (const fd of this.fds) setMark(fd, mark); // what one refuses, the first one does
    this.mark = mark;
  }

  close(): void {
    if (!this.open) return;
    this.open = false;
    closeAll(this.fds);
  }
}

interface Opened {
  readonly fd: number;
  readonly family: number;
  readonly port: number;
  readonly gro: boolean;
}

/** All sockets of one port. Undefined if the system does not have this address family. */
function openSockets(
  family: number,
  options: UdpOptions,
): (Omit<Opened, 'fd'> & { readonly fds: readonly number[] }) | undefined {
  const first = openSocket(family, options, false);
  if (first === undefined) return undefined;
  const { port, gro } = first;
  const fds = [first.fd];
  try {
    const count = options.sockets ?? 1;
    if (count > 1) must(setInteger(first.fd, SOL_SOCKET, SO_REUSEPORT, 1), 'SO_REUSEPORT');
    while (fds.length < count) {
      const next = openSocket(family, { ...options, port }, true);
      if (next === undefined) throw new Error('the address family has gone away');
      fds.push(next.fd);
    }
  } catch (error) {
    closeAll(fds);
    throw error;
  }
  return { fds, family, port, gro };
}

function closeAll(fds: readonly number[]): void {
  for (const fd of fds) syscalls().close(fd);
}

/** Undefined if the system does not have this address family. */
function openSocket(family: number, options: UdpOptions, shared: boolean): Opened | undefined {
  const calls = syscalls();
  const fd = calls.socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd === -ERRNO.EAFNOSUPPORT) return undefined;
  must(fd, 'socket', { EMFILE: 'too many open files; raise the limit' });
  try {
    if (family === AF_INET6) {
      must(setInteger(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0), 'IPV6_V6ONLY');
      must(setInteger(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1), 'IPV6_RECVPKTINFO');
    } else {
      must(setInteger(fd, IPPROTO_IP, IP_PKTINFO, 1), 'IP_PKTINFO');
    }
    if (options.fwmark !== 0) setMark(fd, options.fwmark);
    const gro = options.gro && setInteger(fd, SOL_UDP, UDP_GRO, 1) >= 0;
    enlarge(fd, SO_RCVBUFFORCE, SO_RCVBUF);
    enlarge(fd, SO_SNDBUFFORCE, SO_SNDBUF);
    if (shared) must(setInteger(fd, SOL_SOCKET, SO_REUSEPORT, 1), 'SO_REUSEPORT');
    return { fd, family, gro, port: bindPort(fd, family, options.port) };
  } catch (error) {
    calls.close(fd);
    throw error;
  }
}

/** Past net.core.{r,w}mem_max where privileged, up to it where not. Best effort. */
function enlarge(fd: number, force: number, plain: number): void {
  if (setInteger(fd, SOL_SOCKET, force, SOCKET_BUFFER) < 0) {
    setInteger(fd, SOL_SOCKET, plain, SOCKET_BUFFER);
  }
}

function setMark(fd: number, mark: number): void {
  must(setInteger(fd, SOL_SOCKET, SO_MARK, mark | 0), 'SO_MARK', {
    EPERM: 'a firewall mark needs CAP_NET_ADMIN',
  });
}

function setInteger(fd: number, level: number, option: number, value: number): number {
  const buffer = callScratch();
  buffer.view.setInt32(0, value, true);
  return syscalls().setsockopt(fd, level, option, buffer.at(0), 4);
}

/** Binds to the unspecified address and returns the port. */
function bindPort(fd: number, family: number, port: number): number {
  const buffer = callScratch();
  const length = family === AF_INET6 ? 28 : 16;
  buffer.view.setUint16(0, family, true);
  buffer.view.setUint16(2, port, false);
  must(syscalls().bind(fd, buffer.at(0), length), `bind port ${port}`, {
    EADDRINUSE: 'the port is in use by another socket',
    EACCES: 'ports below 1024 need CAP_NET_BIND_SERVICE',
  });
  buffer.view.setUint32(28, length, true);
  must(syscalls().getsockname(fd, buffer.at(0), buffer.at(28)), 'getsockname');
  return buffer.view.getUint16(2, false);
}
