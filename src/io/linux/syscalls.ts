import { ARCHITECTURES } from './constants.ts';

/**
 * The one place that calls into libc, through Node's own node:ffi.
 *
 * Every call here returns what the system call returned, or the negative errno. Arguments are
 * descriptors, plain numbers, and addresses inside a {@link NativeBuffer}, so nothing the kernel
 * was told about can move or be collected. Calls with at most three arguments cost some hundred
 * nanoseconds; those with more are for control only.
 */
export interface Syscalls {
  open(path: bigint, flags: number): number;
  close(fd: number): number;
  dup3(from: number, to: number, flags: number): number;
  fcntl(fd: number, command: number, value: number): number;
  ioctl(fd: number, request: number, argument: bigint): number;
  readv(fd: number, iovec: bigint, count: number): number;
  writev(fd: number, iovec: bigint, count: number): number;
  socket(family: number, type: number, protocol: number): number;
  bind(fd: number, address: bigint, length: number): number;
  getsockname(fd: number, address: bigint, length: bigint): number;
  setsockopt(fd: number, level: number, option: number, value: bigint, length: number): number;
  getsockopt(fd: number, level: number, option: number, value: bigint, length: bigint): number;
  sendmsg(fd: number, message: bigint, flags: number): number;
  recvmsg(fd: number, message: bigint, flags: number): number;
  /** `count` is a BigInt because nfds_t is 64 bits wide; -1 ms waits for ever. */
  poll(fds: bigint, count: bigint, milliseconds: number): number;
  eventfd(initial: number, flags: number): number;
  eventfdRead(fd: number, value: bigint): number;
  eventfdWrite(fd: number, value: bigint): number;
  setns(fd: number, type: number): number;
  /** Of this thread, and of what it starts. */
  prctl(option: number, first: bigint, second: bigint, third: bigint, fourth: bigint): number;
  /** Stores a struct timespec (two 64-bit integers: seconds, nanoseconds) at `time`. */
  clockGettime(clock: number, time: bigint): number;
}

const i32 = 'i32';
const u32 = 'u32';
const u64 = 'u64';
const pointer = 'pointer';

// ssize_t results are declared i32: no transfer here reaches 2 GB, and an i64 would be a BigInt.
const DEFINITIONS = {
  open: { arguments: [pointer, i32], return: i32 },
  close: { arguments: [i32], return: i32 },
  dup3: { arguments: [i32, i32, i32], return: i32 },
  fcntl: { arguments: [i32, i32, i32], return: i32 },
  ioctl: { arguments: [i32, u64, pointer], return: i32 },
  readv: { arguments: [i32, pointer, i32], return: i32 },
  writev: { arguments: [i32, pointer, i32], return: i32 },
  socket: { arguments: [i32, i32, i32], return: i32 },
  bind: { arguments: [i32, pointer, u32], return: i32 },
  getsockname: { arguments: [i32, pointer, pointer], return: i32 },
  setsockopt: { arguments: [i32, i32, i32, pointer, u32], return: i32 },
  getsockopt: { arguments: [i32, i32, i32, pointer, pointer], return: i32 },
  sendmsg: { arguments: [i32, pointer, i32], return: i32 },
  recvmsg: { arguments: [i32, pointer, i32], return: i32 },
  poll: { arguments: [pointer, u64, i32], return: i32 },
  eventfd: { arguments: [u32, i32], return: i32 },
  eventfd_read: { arguments: [i32, pointer], return: i32 },
  eventfd_write: { arguments: [i32, u64], return: i32 },
  setns: { arguments: [i32, i32], return: i32 },
  prctl: { arguments: [i32, u64, u64, u64, u64], return: i32 },
  clock_gettime: { arguments: [i32, pointer], return: i32 },
  __errno_location: { arguments: [], return: pointer },
} as const;

type Ffi = typeof import('node:ffi');

/** node:ffi, or undefined where this Node has none. Without the warning that it is experimental. */
function loadFfi(): Ffi | undefined {
  const emitWarning = process.emitWarning;
  process.emitWarning = ((warning: string | Error, ...rest: unknown[]) => {
    const type = typeof rest[0] === 'object' ? (rest[0] as { type?: string })?.type : rest[0];
    if (type === 'ExperimentalWarning' && String(warning).includes('FFI')) return;
    Reflect.apply(emitWarning, process, [warning, ...rest]);
  }) as typeof process.emitWarning;
  try {
    return process.getBuiltinModule('node:ffi');
  } catch {
    return undefined; // switched off (--no-experimental-ffi, permission model)
  } finally {
    process.emitWarning = emitWarning;
  }
}

/** Why system calls cannot be made in this process, or undefined if they can. */
export function unsupported(): string | undefined {
  if (process.platform !== 'linux') return `needs Linux, this is ${process.platform}`;
  if (!ARCHITECTURES.includes(process.arch)) {
    return `needs ${ARCHITECTURES.join(' or ')}, this is ${process.arch}`;
  }
  if (loadFfi() === undefined) return 'needs node:ffi, which this Node lacks or has switched off';
  return undefined;
}

let loaded: { ffi: Ffi; calls: Syscalls } | undefined;

function load(): { ffi: Ffi; calls: Syscalls } {
  if (loaded !== undefined) return loaded;
  const reason = unsupported();
  if (reason !== undefined) throw new Error(`system calls: ${reason}`);
  const ffi = loadFfi()!;
  const { getInt32 } = ffi;
  const { functions: c } = ffi.dlopen(null, DEFINITIONS);
  const location = c.__errno_location(); // one address per thread, and so is this module
  // errno is read in the statement after the call: an allocation between them could end in a
  // system call of the engine's own that overwrites it.
  const calls: Syscalls = {
    open(path, flags) {
      const result = c.open(path, flags);
      return result < 0 ? -getInt32(location) : result;
    },
    close(fd) {
      const result = c.close(fd);
      return result < 0 ? -getInt32(location) : result;
    },
    dup3(from, to, flags) {
      const result = c.dup3(from, to, flags);
      return result < 0 ? -getInt32(location) : result;
    },
    fcntl(fd, command, value) {
      const result = c.fcntl(fd, command, value);
      return result < 0 ? -getInt32(location) : result;
    },
    ioctl(fd, request, argument) {
      const code = BigInt(request);
      const result = c.ioctl(fd, code, argument);
      return result < 0 ? -getInt32(location) : result;
    },
    readv(fd, iovec, count) {
      const result = c.readv(fd, iovec, count);
      return result < 0 ? -getInt32(location) : result;
    },
    writev(fd, iovec, count) {
      const result = c.writev(fd, iovec, count);
      return result < 0 ? -getInt32(location) : result;
    },
    socket(family, type, protocol) {
      const result = c.socket(family, type, protocol);
      return result < 0 ? -getInt32(location) : result;
    },
    bind(fd, address, length) {
      const result = c.bind(fd, address, length);
      return result < 0 ? -getInt32(location) : result;
    },
    getsockname(fd, address, length) {
      const result = c.getsockname(fd, address, length);
      return result < 0 ? -getInt32(location) : result;
    },
    setsockopt(fd, level, option, value, length) {
      const result = c.setsockopt(fd, level, option, value, length);
      return result < 0 ? -getInt32(location) : result;
    },
    getsockopt(fd, level, option, value, length) {
      const result = c.getsockopt(fd, level, option, value, length);
      return result < 0 ? -getInt32(location) : result;
    },
    sendmsg(fd, message, flags) {
      const result = c.sendmsg(fd, message, flags);
      return result < 0 ? -getInt32(location) : result;
    },
    recvmsg(fd, message, flags) {
      const result = c.recvmsg(fd, message, flags);
      return result < 0 ? -getInt32(location) : result;
    },
    poll(fds, count, milliseconds) {
      const result = c.poll(fds, count, milliseconds);
      return result < 0 ? -getInt32(location) : result;
    },
    eventfd(initial, flags) {
      const result = c.eventfd(initial, flags);
      return result < 0 ? -getInt32(location) : result;
    },
    eventfdRead(fd, value) {
      const result = c.eventfd_read(fd, value);
      return result < 0 ? -getInt32(location) : result;
    },
    eventfdWrite(fd, value) {
      const result = c.eventfd_write(fd, value);
      return result < 0 ? -getInt32(location) : result;
    },
    setns(fd, type) {
      const result = c.setns(fd, type);
      return result < 0 ? -getInt32(location) : result;
    },
    prctl(option, first, second, third, fourth) {
      const result = c.prctl(option, first, second, third, fourth);
      return result < 0 ? -getInt32(location) : result;
    },
    clockGettime(clock, time) {
      const result = c.clock_gettime(clock, time);
      return result < 0 ? -getInt32(location) : result;
    },
  };
  loaded = { ffi, calls };
  return loaded;
}

/** The system calls of this thread; loaded at the first use. Throws where {@link unsupported}. */
export function syscalls(): Syscalls {
  return load().calls;
}

/**
 * What system calls were ever given addresses in. An address keeps nothing alive: a buffer that
 * only the kernel still knows of would be collected, and the kernel would write where it was.
 */
const held: NativeBuffer[] = [];

/**
 * Memory whose address never changes, for structures and data that system calls read and write.
 * One made with a length is never freed, so these are few and small: made once per thread, tunnel
 * or descriptor. Whoever hands in a memory keeps it alive as long as it is used for calls.
 */
export class NativeBuffer {
  readonly u8: Uint8Array;
  readonly view: DataView;
  /** Address of the first byte (user addresses are below 2^53). */
  readonly address: number;
  private readonly base: bigint;
  private readonly baseLow: number;
  private readonly baseHigh: number;

  /** Over shared memory (a WebAssembly memory that is never grown), or `length` bytes of its own. */
  constructor(memory: SharedArrayBuffer | number) {
    const buffer = typeof memory === 'number' ? new SharedArrayBuffer(memory) : memory;
    if (typeof memory === 'number') held.push(this);
    this.u8 = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.base = load().ffi.getRawPointer(buffer as unknown as ArrayBuffer);
    this.address = Number(this.base);
    this.baseLow = Number(this.base & 0xffffffffn);
    this.baseHigh = Number(this.base >> 32n);
  }

  /** The address of `offset`. Allocates a BigInt: made once, kept by the caller. */
  at(offset: number): bigint {
    return this.base + BigInt(offset);
  }

  /** Stores the address of `offset` in this buffer at `where` of `structure`; allocates nothing. */
  storeAddress(structure: DataView, where: number, offset: number): void {
    const low = this.baseLow + offset;
    const carry = low > 0xffffffff ? 1 : 0;
    structure.setUint32(where, low, true); // takes it modulo 2^32
    structure.setUint32(where + 4, this.baseHigh + carry, true);
  }
}

let scratch: NativeBuffer | undefined;
const SCRATCH_LENGTH = 16384;

/** Zeroed memory for the arguments of one control call, until the next call of this function. */
export function callScratch(): NativeBuffer {
  scratch ??= new NativeBuffer(SCRATCH_LENGTH);
  scratch.u8.fill(0);
  return scratch;
}
