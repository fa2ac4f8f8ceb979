import { SystemCallError } from '../../io/linux/errno.ts';
import { TunnelError, type TunnelErrorCode } from '../tunnel.ts';

const CODES: Readonly<Record<string, TunnelErrorCode>> = {
  EPERM: 'not_permitted',
  EACCES: 'not_permitted',
  EADDRINUSE: 'address_in_use',
  EBUSY: 'name_in_use',
  ENOENT: 'not_supported',
  EAFNOSUPPORT: 'not_supported',
};

/** The library's error for whatever went wrong below. */
export function explain(error: unknown): TunnelError {
  if (error instanceof TunnelError) return error;
  const cause = error instanceof Error ? error : new Error(String(error));
  if (cause instanceof SystemCallError) {
    // An interface of that name is there, of another kind: for one, a tunnel with several queues.
    const isOtherKind = cause.call === 'TUNSETIFF' && cause.code === 'EINVAL';
    const code = isOtherKind ? 'name_in_use' : (CODES[cause.code] ?? 'system_call_failed');
    return new TunnelError(code, cause.message, { cause });
  }
  const code = cause instanceof RangeError ? 'invalid_argument' : 'system_call_failed';
  return new TunnelError(code, cause.message, { cause });
}
