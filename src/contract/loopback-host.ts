const LOOPBACK_HOST = /^(?:127(?:\.\d{1,3}){3}|localhost|\[::1\])(?::\d{1,5})?$/i;

/**
 * Whether a `Host` header names this machine's loopback. A page in somebody's browser can have a name of
 * its own point there and read what it gets (DNS rebinding), but not this one.
 */
export function isLoopbackHost(host: string | undefined): boolean {
  return LOOPBACK_HOST.test(host ?? '');
}
