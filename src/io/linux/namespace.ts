import { CLONE_NEWNET, O_CLOEXEC, O_RDONLY, PATH_MAX } from './constants.ts';
import { must } from './errno.ts';
import { callScratch, syscalls } from './syscalls.ts';

/** Opens a file for its descriptor alone (a namespace, /dev/net/tun). Negative errno on failure. */
export function openPath(path: string, flags: number): number {
  const buffer = callScratch();
  new TextEncoder().encodeInto(path, buffer.u8.subarray(0, PATH_MAX - 1));
  return syscalls().open(buffer.at(0), flags | O_CLOEXEC);
}

/**
 * Runs `body` with this thread in the network namespace of `descriptor` and comes back. `body` must
 * be synchronous: sockets it opens belong to that namespace for good, everything else does not.
 * Needs CAP_SYS_ADMIN; throws a SystemCallError otherwise.
 */
export function inNamespace<T>(descriptor: number, body: () => T): T {
  const calls = syscalls();
  const own = must(openPath('/proc/thread-self/ns/net', O_RDONLY), 'open /proc/thread-self/ns/net');
  try {
    must(calls.setns(descriptor, CLONE_NEWNET), 'setns', {
      EPERM: 'following an interface into another namespace needs CAP_SYS_ADMIN',
    });
    try {
      return body();
    } finally {
      const back = calls.setns(own, CLONE_NEWNET);
      // A thread that stays in a foreign namespace would open its next socket there.
      if (back < 0) process.abort();
    }
  } finally {
    calls.close(own);
  }
}
