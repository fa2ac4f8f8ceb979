import { execFile } from 'node:child_process';
import { basename } from 'node:path';
import { promisify } from 'node:util';
import type { CryptoProvider } from '../crypto/provider.ts';
import { TunnelError } from '../tunnel/create-tunnel.ts';
import type { Backend, BackendOptions } from './backend.ts';
import type { AgentClock } from './clock.ts';
import { pingCommand } from './ping-command.ts';
import { UapiTunnel } from './uapi-tunnel.ts';
import { Watchdog } from './watchdog.ts';

const run = promisify(execFile);

/** Before the first config: long enough for one, short for a device that might hold old peers. */
const FIRST_LEASE_S = 30;

/**
 * Takes over a foreign device at its configuration socket, guarded by a watchdog. The interface
 * gets its tunnel address if it is one of this machine's.
 */
export async function openUapiBackend(
  socket: string,
  options: Omit<BackendOptions, 'kind' | 'name'>,
  crypto: CryptoProvider,
  clock: AgentClock,
): Promise<Backend> {
  const tunnel = new UapiTunnel({
    socket,
    ownKey: crypto.x25519Public(options.privateKey),
    clock,
    // Past the first attempts of a native end (0, 0.5 and 1 s), which cost nothing.
    renewAfterMs: Math.min(3000, (options.epochS * 1000) / 5),
  });
  const watchdog = new Watchdog(socket);
  watchdog.lease(clock.boot() + FIRST_LEASE_S);
  try {
    await tunnel.open(options.privateKey, options.listenPort);
  } catch (error) {
    watchdog.release();
    const message = error instanceof Error ? error.message : String(error);
    throw new TunnelError('not_supported', `foreign device: ${message}`, { cause: error });
  }
  const note = await addressInterface(basename(socket, '.sock'), options);
  return {
    kind: 'uapi',
    tunnel: {
      configure: (change) => tunnel.configure(change),
      status: () => tunnel.status(),
      expireKeypairs: (before) => tunnel.expireKeypairs(before),
      async close() {
        await tunnel.close();
        watchdog.release();
      },
      closed: Promise.race([
        tunnel.closed,
        watchdog.lost.then(() => new Error('the watchdog of the foreign device has died')),
      ]),
    },
    ping: pingCommand(options.tunnelAddress),
    onLease: (until) => watchdog.lease(until),
    ...(note === undefined ? {} : { note }),
  };
}

async function addressInterface(
  name: string,
  options: Pick<BackendOptions, 'tunnelAddress' | 'tunnelPrefix'>,
): Promise<string | undefined> {
  const address = `${options.tunnelAddress}/${options.tunnelPrefix.split('/')[1]}`;
  try {
    await run('ip', ['address', 'replace', address, 'dev', name]);
    await run('ip', ['link', 'set', name, 'up']);
    return undefined;
  } catch (error) {
    const stderr = (error as { stderr?: string }).stderr?.trim();
    return `set ${address} on the interface yourself: ${stderr || String(error)}`;
  }
}
