import { basename } from 'node:path';
import type { CryptoProvider } from '../crypto/provider.ts';
import { addAddress } from '../io/linux/addresses.ts';
import { setInterfaceUp } from '../io/linux/interface.ts';
import { TunnelError } from '../tunnel/create-tunnel.ts';
import { uapiGet } from '../tunnel/uapi/client.ts';
import { parseAddress } from '../wire/address-text.ts';
import type { Backend, BackendOptions } from './backend.ts';
import type { AgentClock } from './clock.ts';
import { InterfaceEcho } from './interface-echo.ts';
import { systemDatagrams } from './tunnel-datagrams.ts';
import { UapiTunnel } from './uapi-tunnel.ts';
import { Watchdog } from './watchdog.ts';

/** Before the first config: long enough for one, short for a device that might hold old peers. */
const FIRST_LEASE_S = 30;

/** Throws a TunnelError if no device answers at the socket. */
export async function assertAnswers(socket: string): Promise<void> {
  await uapiGet(socket).catch((error: unknown) => {
    throw foreignError(error);
  });
}

function foreignError(cause: unknown): TunnelError {
  const message = cause instanceof Error ? cause.message : String(cause);
  return new TunnelError('not_supported', `foreign device: ${message}`, { cause });
}

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
    throw foreignError(error);
  }
  const name = basename(socket, '.sock');
  const note = addressInterface(name, options);
  const echo = new InterfaceEcho(() => name, options.tunnelAddress);
  return {
    kind: 'uapi',
    tunnel: {
      configure: (change) => tunnel.configure(change),
      status: () => tunnel.status(),
      expireKeypairs: (before) => tunnel.expireKeypairs(before),
      async close() {
        echo.close();
        await tunnel.close();
        watchdog.release();
      },
      closed: Promise.race([
        tunnel.closed,
        watchdog.lost.then(() => new Error('the watchdog of the foreign device has died')),
      ]),
    },
    ping: echo.ping,
    datagrams: systemDatagrams(options.tunnelAddress),
    onLease: (until) => watchdog.lease(until),
    ...(note === undefined ? {} : { note }),
  };
}

/** Undefined, or what is left to the operator and why. */
function addressInterface(
  name: string,
  options: Pick<BackendOptions, 'tunnelAddress' | 'tunnelPrefix'>,
): string | undefined {
  const length = Number(options.tunnelPrefix.split('/')[1]);
  try {
    addAddress(name, { address: parseAddress(options.tunnelAddress)!, length });
    setInterfaceUp(name);
    return undefined;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return `set ${options.tunnelAddress}/${length} on ${name} yourself: ${message}`;
  }
}
