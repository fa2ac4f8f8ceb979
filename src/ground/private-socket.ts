import type { Server } from 'node:net';

/**
 * Has a server listen on a Unix socket that only this user may open: not for an instant may others, who would
 * wait in its queue. The socket is made before `listen` returns, so the mask is in force for nothing else that
 * this thread makes; what other threads make at that moment gets its mode by fchmod, or none for others anyhow.
 * Resolves when it listens.
 */
export function listenPrivately(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const listening = () => {
      server.off('error', reject);
      resolve();
    };
    server.once('error', reject);
    server.once('listening', listening);
    const mask = process.umask(0o177);
    try {
      server.listen({ path });
    } finally {
      process.umask(mask);
    }
  });
}
