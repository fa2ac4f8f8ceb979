/** asm-generic errno numbers (the same on x86-64 and arm64) that the calls made here can give. */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOTTY: 25,
  ENOSPC: 28,
  EPIPE: 32,
  ERANGE: 34,
  EBADFD: 77,
  EMSGSIZE: 90,
  ENOPROTOOPT: 92,
  EPROTONOSUPPORT: 93,
  EOPNOTSUPP: 95,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ENOBUFS: 105,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTDOWN: 112,
  EHOSTUNREACH: 113,
  ENOKEY: 126,
} as const;

const NAMES = new Map<number, string>(
  Object.entries(ERRNO).map(([name, number]) => [number, name]),
);

/** 'EPERM' for 1; 'errno 999' for a number without an entry. */
export function errnoName(errno: number): string {
  return NAMES.get(errno) ?? `errno ${errno}`;
}

/** A system call failed at control level. The data path never throws this. */
export class SystemCallError extends Error {
  readonly call: string;
  readonly errno: number;
  /** Name of the errno, e.g. 'EPERM'. */
  readonly code: string;

  /** `errno` is positive; `advice` says what the reader can do about it. */
  constructor(call: string, errno: number, advice?: string) {
    const code = errnoName(errno);
    super(advice === undefined ? `${call}: ${code}` : `${call}: ${code}: ${advice}`);
    this.name = 'SystemCallError';
    this.call = call;
    this.errno = errno;
    this.code = code;
  }
}

/** Advice by errno name, for one call. */
export type Advice = Readonly<Record<string, string>>;

/** Passes a result on, or throws what a negative one means. */
export function must(result: number, call: string, advice?: Advice): number {
  if (result >= 0) return result;
  throw new SystemCallError(call, -result, advice?.[errnoName(-result)]);
}
