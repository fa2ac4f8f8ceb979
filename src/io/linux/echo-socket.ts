import { parseAddress } from '../../wire/address-text.ts';
import { ipv4HeaderLength } from '../../wire/ip.ts';
import { buildEcho } from '../portable/packets.ts';
import {
  AF_INET,
  AF_INET6,
  CLOCK_REALTIME,
  ICMP_FILTER,
  ICMPV6_FILTER,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  SO_BINDTODEVICE,
  SO_TIMESTAMPNS,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOL_RAW,
  SOL_SOCKET,
} from './constants.ts';
import { ERRNO, must } from './errno.ts';
import { NativeBuffer, type Syscalls, syscalls } from './syscalls.ts';

export interface EchoOptions {
  /** Requests leave and replies arrive through this interface only. */
  readonly interfaceName: string;
  /** An address of that interface; its family is that of all requests. */
  readonly source: string;
  /** Memory for system calls, which is never freed: whoever opens many sockets gives them the same. */
  readonly buffer?: NativeBuffer;
  /** Runs its argument where the interface is; default: in this thread's network namespace. */
  readonly inNamespace?: <T>(body: () => T) => T;
}

interface Waiting {
  /** CLOCK_REALTIME, ms. */
  readonly sentAt: number;
  /** Monotonic, ms. */
  readonly startedAt: number;
  readonly token: Uint8Array;
  readonly settle: (rttMs: number | undefined) => void;
  readonly fail: (error: unknown) => void;
  readonly deadline: number;
}

/** Offsets in the one native buffer of a socket. */
const AT = {
  message: 0,
  iovec: 64,
  name: 80,
  nameLength: 112,
  control: 128,
  clock: 256,
  send: 512,
  receive: 1024,
  end: 1024 + 2048,
} as const;
const RECEIVE_LENGTH = 2048;
const CONTROL_LENGTH = 64;
/** struct msghdr of a 64-bit Linux. */
const MSG = {
  name: 0,
  nameLength: 8,
  iov: 16,
  iovLength: 24,
  control: 32,
  controlLength: 40,
} as const;
const ECHO_REPLY = { 4: 0, 6: 129 } as const;
const HEADER_LENGTH = { 4: 20, 6: 40 } as const;
const ICMP_HEADER_LENGTH = 8;
const TOKEN_LENGTH = 16;
/** Memory for one socket at a time. */
export function echoBuffer(): NativeBuffer {
  return new NativeBuffer(AT.end);
}

/** Own tuning: how many requests may be under way, and how many replies are taken in one turn. */
const MAX_WAITING = 128;
const REPLIES_A_TURN = 256;
/** How soon (ms) a socket is looked at again; the kernel's time of arrival makes up for it. */
const LOOK_AGAIN = 10;

/**
 * ICMP echo (RFC 792; RFC 4443 section 4) through one interface: a raw socket that is bound to it,
 * so that a reply counts only if it came in there. Needs CAP_NET_RAW. The round trip is told by the
 * kernel's time of arrival, whenever this process gets to read it.
 */
export class EchoSocket {
  private readonly fd: number;
  private readonly family: 4 | 6;
  private readonly source: Uint8Array;
  private readonly random: (length: number) => Uint8Array;
  private readonly calls: Syscalls = syscalls();
  private readonly buffer: NativeBuffer;
  private readonly messageAt: bigint;
  private readonly clockAt: bigint;
  private readonly identifier: number;
  private readonly waiting = new Map<number, Waiting>();
  /** Requests that wait for their turn. */
  private readonly queue: (() => void)[] = [];
  private sequence = 0;
  private timer: NodeJS.Timeout | undefined;
  private closed = false;

  /** Throws a SystemCallError that says what is missing. */
  constructor(options: EchoOptions, random: (length: number) => Uint8Array) {
    const source = parseAddress(options.source);
    if (source === undefined) throw new TypeError(`${options.source} is no IP address`);
    this.source = source;
    this.family = source.length === 4 ? 4 : 6;
    this.random = random;
    this.buffer = options.buffer ?? echoBuffer();
    this.messageAt = this.buffer.at(AT.message);
    this.clockAt = this.buffer.at(AT.clock);
    const [high, low] = random(2);
    this.identifier = (high! << 8) | low!;
    const run = options.inNamespace ?? ((body) => body());
    this.fd = run(() => this.open(options.interfaceName));
  }

  /**
   * Milliseconds until the reply, or undefined if none came in time. Rejects with a SystemCallError
   * if the request could not be sent: that is no answer about the other end.
   */
  ping(address: string, timeoutMs: number): Promise<number | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
    const destination = parseAddress(address);
    if (destination?.length !== this.source.length) {
      reject(new TypeError(`${address} is no address of the same family as the interface's`));
      return promise;
    }
    const start = (): void => {
      try {
        this.request(destination, timeoutMs, resolve, reject);
      } catch (error) {
        reject(error);
      }
    };
    if (this.waiting.size < MAX_WAITING) start();
    else this.queue.push(start);
    return promise;
  }

  /** Requests that are under way get no answer any more, or fail with `error`. */
  close(error?: unknown): void {
    if (this.closed) return;
    this.closed = true;
    clearTimeout(this.timer);
    for (const { settle, fail } of this.waiting.values()) {
      if (error === undefined) settle(undefined);
      else fail(error);
    }
    this.waiting.clear();
    for (const start of this.queue.splice(0)) start();
    this.calls.close(this.fd);
  }

  private open(interfaceName: string): number {
    const { calls, buffer, family } = this;
    const [domain, protocol] = family === 4 ? [AF_INET, IPPROTO_ICMP] : [AF_INET6, IPPROTO_ICMPV6];
    const fd = must(
      calls.socket(domain, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol),
      'raw ICMP socket',
      { EPERM: 'needs CAP_NET_RAW' },
    );
    try {
      const name = new TextEncoder().encode(`${interfaceName}\0`);
      buffer.u8.set(name, AT.send);
      must(
        calls.setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, buffer.at(AT.send), name.length),
        `SO_BINDTODEVICE ${interfaceName}`,
        { EPERM: 'needs CAP_NET_RAW', ENODEV: 'there is no such interface' },
      );
      buffer.view.setInt32(AT.send, 1, true);
      must(
        calls.setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, buffer.at(AT.send), 4),
        'SO_TIMESTAMPNS',
      );
      this.filter(fd);
      const length = this.writeName(this.source);
      must(calls.bind(fd, buffer.at(AT.name), length), 'bind', {
        EADDRNOTAVAIL: 'the interface does not have this address',
      });
      return fd;
    } catch (error) {
      calls.close(fd);
      throw error;
    }
  }

  /** Nothing but echo replies is queued. */
  private filter(fd: number): void {
    const { calls, buffer, family } = this;
    // A bit that is set blocks a type: 32 of ICMP, 256 of ICMPv6.
    const length = family === 4 ? 4 : 32;
    buffer.u8.fill(0xff, AT.send, AT.send + length);
    const type = ECHO_REPLY[family];
    buffer.u8[AT.send + (type >> 3)]! &= ~(1 << (type & 7));
    const [level, option] = family === 4 ? [SOL_RAW, ICMP_FILTER] : [IPPROTO_ICMPV6, ICMPV6_FILTER];
    must(calls.setsockopt(fd, level, option, buffer.at(AT.send), length), 'ICMP filter');
  }

  private request(
    destination: Uint8Array,
    timeoutMs: number,
    settle: (rttMs: number | undefined) => void,
    fail: (error: unknown) => void,
  ): void {
    if (this.closed) {
      settle(undefined);
      return;
    }
    const { calls, buffer, family, source, identifier } = this;
    this.sequence = (this.sequence + 1) & 0xffff;
    const { sequence } = this;
    const token = this.random(TOKEN_LENGTH);
    const echo = { kind: 'request', source, destination, identifier, sequence } as const;
    const message = buildEcho({ ...echo, payload: token }).subarray(HEADER_LENGTH[family]);
    buffer.u8.set(message, AT.send);
    this.prepare(AT.send, message.length, this.writeName(destination), 0);
    const sentAt = this.realtime();
    must(calls.sendmsg(this.fd, this.messageAt, 0), 'sendmsg', {
      ENODEV: 'the interface is gone',
      ENETDOWN: 'the interface is down',
      EADDRNOTAVAIL: 'the interface has lost its address',
      EPERM: 'a packet filter of this machine refuses it',
    });
    const startedAt = performance.now();
    const deadline = startedAt + timeoutMs;
    this.waiting.set(sequence, { sentAt, startedAt, token, settle, fail, deadline });
    this.lookAgain();
  }

  private lookAgain(): void {
    if (this.timer !== undefined || this.waiting.size === 0 || this.closed) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.receive();
      this.expire();
      while (this.queue.length > 0 && this.waiting.size < MAX_WAITING) this.queue.shift()!();
      this.lookAgain();
    }, LOOK_AGAIN);
  }

  private receive(): void {
    const { calls, buffer } = this;
    for (let turn = 0; turn < REPLIES_A_TURN; turn++) {
      this.prepare(AT.receive, RECEIVE_LENGTH, 28, CONTROL_LENGTH);
      const length = calls.recvmsg(this.fd, this.messageAt, 0);
      if (length === -ERRNO.EINTR) continue;
      if (length < 0) return; // EAGAIN: nothing more; an error of the interface shows when sending
      this.reply(buffer.u8.subarray(AT.receive, AT.receive + length), this.arrival());
    }
  }

  private reply(packet: Uint8Array, arrivedAt: number): void {
    const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
    // The kernel delivers IPv4 with its header and IPv6 without, and has verified lengths and sums.
    const at = this.family === 4 && packet.length > 0 ? ipv4HeaderLength(view, 0) : 0;
    if (packet.length !== at + ICMP_HEADER_LENGTH + TOKEN_LENGTH) return;
    if (packet[at] !== ECHO_REPLY[this.family]) return;
    if (view.getUint16(at + 4) !== this.identifier) return;
    const sequence = view.getUint16(at + 6);
    const waiting = this.waiting.get(sequence);
    const token = packet.subarray(at + ICMP_HEADER_LENGTH);
    if (waiting === undefined || !waiting.token.every((byte, i) => byte === token[i])) return;
    this.waiting.delete(sequence);
    // The wall clock may have been set meanwhile; the monotonic one bounds what it says.
    const atMost = performance.now() - waiting.startedAt;
    waiting.settle(Math.min(Math.max(0, arrivedAt - waiting.sentAt), atMost));
  }

  private expire(): void {
    const now = performance.now();
    for (const [sequence, { deadline, settle }] of this.waiting) {
      if (deadline > now) continue;
      this.waiting.delete(sequence);
      settle(undefined);
    }
  }

  /** Writes an address as the message's name; its length. */
  private writeName(address: Uint8Array): number {
    const { u8, view } = this.buffer;
    u8.fill(0, AT.name, AT.name + 28);
    view.setUint16(AT.name, this.family === 4 ? AF_INET : AF_INET6, true);
    u8.set(address, AT.name + (this.family === 4 ? 4 : 8));
    return this.family === 4 ? 16 : 28;
  }

  private prepare(at: number, length: number, nameLength: number, controlLength: number): void {
    const { buffer } = this;
    const { view } = buffer;
    buffer.storeAddress(view, AT.message + MSG.name, AT.name);
    view.setUint32(AT.message + MSG.nameLength, nameLength, true);
    buffer.storeAddress(view, AT.message + MSG.iov, AT.iovec);
    view.setBigUint64(AT.message + MSG.iovLength, 1n, true);
    buffer.storeAddress(view, AT.message + MSG.control, AT.control);
    view.setBigUint64(AT.message + MSG.controlLength, BigInt(controlLength), true);
    buffer.storeAddress(view, AT.iovec, at);
    view.setBigUint64(AT.iovec + 8, BigInt(length), true);
  }

  /** CLOCK_REALTIME, ms: the clock of the kernel's times of arrival. */
  private realtime(): number {
    must(this.calls.clockGettime(CLOCK_REALTIME, this.clockAt), 'clock_gettime');
    return this.timespec(AT.clock);
  }

  /** When the message that was just received came in; now, if the kernel does not say. */
  private arrival(): number {
    const { view } = this.buffer;
    const hasTime =
      view.getBigUint64(AT.message + MSG.controlLength, true) >= 32n &&
      view.getInt32(AT.control + 8, true) === SOL_SOCKET &&
      view.getInt32(AT.control + 12, true) === SO_TIMESTAMPNS;
    return hasTime ? this.timespec(AT.control + 16) : this.realtime();
  }

  private timespec(at: number): number {
    const { view } = this.buffer;
    return Number(view.getBigInt64(at, true)) * 1000 + Number(view.getBigInt64(at + 8, true)) / 1e6;
  }
}
