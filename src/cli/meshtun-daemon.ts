import { randomBytes } from 'node:crypto';
import { flushCompileCache } from 'node:module';
import { defaultProvider } from '../crypto/select.ts';
import type { LinuxTunnel } from '../tunnel/linux/linux-tunnel.ts';
import { openLinuxTunnel } from '../tunnel/linux/open.ts';
import { TunnelError } from '../tunnel/tunnel.ts';
import { isAnswering, socketPath, UapiServer } from '../tunnel/uapi/server.ts';
import type { DaemonArguments } from './meshtun-arguments.ts';
import type { Log } from './meshtun-log.ts';
import { isHangupIgnored } from './stop-signal.ts';

/**
 * Runs a tunnel until a signal, until its interface is deleted or its socket is. `onReady` is
 * called when both exist. Rejects if it cannot start, and with the error that ended it.
 */
export async function runDaemon(
  options: DaemonArguments,
  log: Log,
  onReady: (interfaceName: string) => void,
): Promise<void> {
  const signalled = waitForSignal();
  const { tunnel, uapi } = await open(options, log);
  log.verbose(`${tunnel.name}: interface and ${socketPath(tunnel.name)} are ready`);
  const { aead, offloads, workerPairs } = tunnel.describe();
  log.verbose(`${tunnel.name}: AEAD ${aead}, offloads ${offloads.join(', ') || 'none'}`);
  if (workerPairs > 1) log.verbose(`${tunnel.name}: ${workerPairs} pairs of data workers`);
  onReady(tunnel.name);
  flushCompileCache(); // here, because a daemon may be killed
  const reason = await Promise.race([
    signalled,
    uapi.removed.then(() => 'its socket was removed'),
    tunnel.closed.then((error) => error ?? 'its interface was deleted'),
  ]);
  await Promise.all([uapi.close(), tunnel.close()]);
  if (reason instanceof Error) throw reason;
  log.verbose(`${tunnel.name}: ended: ${reason}`);
}

function waitForSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
      if (signal === 'SIGHUP' && isHangupIgnored()) process.on(signal, () => {});
      else process.once(signal, () => resolve(signal));
    }
  });
}

async function open(
  options: DaemonArguments,
  log: Log,
): Promise<{ tunnel: LinuxTunnel; uapi: UapiServer }> {
  const { interfaceName, tunDescriptor, uapiDescriptor, workerPairs, offloads } = options;
  // Before the interface is made, for its name may be free here and taken in another namespace.
  if (uapiDescriptor === undefined && (await isAnswering(socketPath(interfaceName)))) {
    throw new TunnelError(
      'name_in_use',
      `${interfaceName} is running already: a process answers on ${socketPath(interfaceName)}`,
    );
  }
  const tunnel = await openLinuxTunnel({
    name: interfaceName,
    ...(tunDescriptor === undefined ? {} : { tunDescriptor }),
    ...(workerPairs === undefined ? {} : { workerPairs }),
    ...(offloads === undefined ? {} : { offloads }),
    crypto: defaultProvider(),
    random: (length) => new Uint8Array(randomBytes(length)),
    log: (message) => log.error(message),
    onHandshake: (publicKey) =>
      log.verbose(`handshake with ${Buffer.from(publicKey).toString('base64')} completed`),
  });
  try {
    const uapi = await UapiServer.listen({
      tunnel,
      path: socketPath(tunnel.name),
      ...(uapiDescriptor === undefined ? {} : { fd: uapiDescriptor }),
      log: (message) => log.error(message),
    });
    return { tunnel, uapi };
  } catch (error) {
    await tunnel.close();
    throw error;
  }
}
