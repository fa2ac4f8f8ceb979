import { SystemCallError } from '../io/linux/errno.ts';
import { TunnelError, type TunnelErrorCode } from './tunnel.ts';

/** By the name of the errno, which Node's own errors have as `code`, too. */
const CODES: Readonly<Record<string, TunnelErrorCode>> = {
  EPERM: 'not_permitted',
  EACCES: 'not_permitted',
  EADDRINUSE: 'address_in_use',
  EBUSY: 'name_in_use',
  ENOENT: 'not_supported',
  EAFNOSUPPORT: 'not_supported',
  ENOTSUP: 'not_supported',
};

/** The library's error for whatever went wrong below. */
export function explain(error: unknown): TunnelError {
  if (error instanceof TunnelError) return error;
  const cause = error instanceof Error ? error : new Error(String(error));
  // An interface of that name is there, of another kind: for one, a tunnel with several queues.
  const isOtherKind =
    cause instanceof SystemCallError && cause.call === 'TUNSETIFF' && cause.code === 'EINVAL';
  const known = isOtherKind ? 'name_in_use' : CODES[(cause as NodeJS.ErrnoException).code ?? ''];
  const unknown = cause instanceof RangeError ? 'invalid_argument' : 'system_call_failed';
  return new TunnelError(known ?? unknown, cause.message, { cause });
}
