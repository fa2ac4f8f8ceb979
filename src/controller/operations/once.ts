import type { NetworkRequest } from './caller.ts';

/**
 * Remembers what was found out about a request, by what was asked of it. Who may ask is looked at before its
 * body is read and again by the operation, but a nonce is good once, and each call counts as one.
 */
export function oncePerRequest<T>(): (request: NetworkRequest, what: string, find: () => T) => T {
  const known = new WeakMap<NetworkRequest, Map<string, T>>();
  return (request, what, find) => {
    const found = known.get(request) ?? new Map<string, T>();
    known.set(request, found);
    if (!found.has(what)) found.set(what, find());
    return found.get(what)!;
  };
}
