/**
 * Numbers of the Linux system call interface. Both supported architectures, x86-64 and arm64, take
 * every one of these from asm-generic, so one table serves both; where they differ (O_DIRECT,
 * O_DIRECTORY, system call numbers) nothing here needs the value. Sources: include/uapi/linux/*.h
 * and include/uapi/asm-generic/*.h of Linux 6.x.
 */
export const ARCHITECTURES: readonly string[] = ['x64', 'arm64'];

// fcntl.h
export const O_RDONLY = 0;
export const O_RDWR = 2;
export const O_NONBLOCK = 0o4000;
export const O_CLOEXEC = 0o2000000;
export const F_SETFD = 2;
export const F_GETFL = 3;
export const F_SETFL = 4;
export const FD_CLOEXEC = 1;

// limits.h
export const PATH_MAX = 4096;

// poll.h
export const POLLIN = 0x1;
export const POLLOUT = 0x4;
export const POLLERR = 0x8;
export const POLLHUP = 0x10;
export const POLLNVAL = 0x20;

// sched.h
export const CLONE_NEWNET = 0x40000000;

// socket.h, in.h, in6.h, un.h
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_NONBLOCK = O_NONBLOCK;
export const SOCK_CLOEXEC = O_CLOEXEC;
/** Bytes of a path or an abstract name in struct sockaddr_un. */
export const UNIX_PATH_MAX = 108;
export const MSG_CTRUNC = 0x8;
export const MSG_TRUNC = 0x20;

export const SOL_SOCKET = 1;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_REUSEPORT = 15;
export const SO_BINDTODEVICE = 25;
export const SO_SNDBUFFORCE = 32;
export const SO_RCVBUFFORCE = 33;
export const SO_MARK = 36;
/** Asks for the time of arrival (CLOCK_REALTIME, struct timespec) as a control message. */
export const SO_TIMESTAMPNS = 35;

export const IPPROTO_IP = 0;
export const IPPROTO_ICMP = 1;
export const IPPROTO_ICMPV6 = 58;
export const IP_PKTINFO = 8;

export const IPPROTO_IPV6 = 41;
export const IPV6_V6ONLY = 26;
export const IPV6_RECVPKTINFO = 49;
export const IPV6_PKTINFO = 50;

// udp.h
export const SOL_UDP = 17;
export const UDP_SEGMENT = 103;
export const UDP_GRO = 104;

// icmp.h, icmpv6.h: which types a raw socket is given
export const SOL_RAW = 255;
export const ICMP_FILTER = 1;
export const ICMPV6_FILTER = 1;

// time.h
export const CLOCK_REALTIME = 0;

// if_tun.h
export const TUNSETIFF = 0x400454ca;
export const TUNSETOFFLOAD = 0x400454d0;
export const TUNGETIFF = 0x800454d2;
export const TUNSETVNETHDRSZ = 0x400454d8;
/** _IO('T', 227): a descriptor of the network namespace the interface is in now. */
export const TUNGETDEVNETNS = 0x54e3;
export const IFF_TUN = 0x0001;
export const IFF_MULTI_QUEUE = 0x0100;
export const IFF_NO_PI = 0x1000;
export const IFF_VNET_HDR = 0x4000;
/** Only a new interface: without it, queues can be added to one that another process has. */
export const IFF_TUN_EXCL = 0x8000;
export const TUN_F_CSUM = 0x01;
export const TUN_F_TSO4 = 0x02;
export const TUN_F_TSO6 = 0x04;
export const TUN_F_USO4 = 0x20;
export const TUN_F_USO6 = 0x40;

// sockios.h, if.h
export const SIOCGIFFLAGS = 0x8913;
export const SIOCSIFFLAGS = 0x8914;
export const SIOCGIFMTU = 0x8921;
export const SIOCSIFMTU = 0x8922;
export const SIOCGIFINDEX = 0x8933;
export const IFF_UP = 0x1;
/** Length of an interface name with its terminating zero. */
export const IFNAMSIZ = 16;
/** sizeof(struct ifreq) on 64-bit. */
export const IFREQ_LENGTH = 40;

// netlink.h, rtnetlink.h
export const NETLINK_ROUTE = 0;
export const RTMGRP_LINK = 0x1;
export const RTMGRP_IPV4_IFADDR = 0x10;
export const RTMGRP_IPV4_ROUTE = 0x40;
export const RTMGRP_IPV4_RULE = 0x80;
export const RTMGRP_IPV6_IFADDR = 0x100;
export const RTMGRP_IPV6_ROUTE = 0x400;

/** virtio_net.h: struct virtio_net_hdr, in front of every packet on a TUN with IFF_VNET_HDR. */
export const VNET_HEADER_LENGTH = 10;
