import { createTunnel, type Tunnel, TunnelError } from '../tunnel/create-tunnel.ts';
import { explain } from '../tunnel/explain.ts';
import { takeUdpPort } from './own-endpoint.ts';
import type { Ping } from './probe.ts';
import { type OpenDatagrams, systemDatagrams, userspaceDatagrams } from './tunnel-datagrams.ts';

/**
 * `linux`      a network interface of ours (needs CAP_NET_ADMIN)
 * `userspace`  inside this process, reachable by ping only: for trying out and for tests
 * `auto`       `linux` where it can be had
 */
export type BackendKind = 'auto' | 'linux' | 'userspace';

export interface BackendOptions {
  readonly kind: BackendKind;
  /** Interface name, at most 15 bytes. */
  readonly name: string;
  /** 32 bytes. */
  readonly privateKey: Uint8Array;
  readonly listenPort: number;
  readonly tunnelAddress: string;
  readonly tunnelPrefix: string;
  readonly epochS: number;
  readonly graceS: number;
  /** What an operator should know of the device, in a sentence. */
  readonly log: (message: string) => void;
}

export interface DataPath {
  /** Which implementation of ChaCha20-Poly1305. */
  readonly aead: string;
  /** Offloads in use: `tun-tcp`, `tun-udp`, `udp-segment`, `udp-gro`. */
  readonly offloads: readonly string[];
}

/** The tunnel of a node and the way to send an echo through it. */
export interface Backend {
  readonly kind: 'linux' | 'userspace' | 'uapi';
  readonly tunnel: Pick<Tunnel, 'configure' | 'status' | 'expireKeypairs' | 'close' | 'closed'>;
  readonly ping: Ping;
  /** Opens a UDP port on the node's tunnel address. */
  readonly datagrams: OpenDatagrams;
  /** What moves the packets, where that can be told. */
  readonly describe?: () => DataPath;
  /** Told until when (boot clock, seconds) the device may stay as it is. */
  readonly onLease?: (until: number) => void;
  /** What of this machine shares addresses with the mesh, in a sentence; undefined: nothing. */
  readonly overlap?: () => string | undefined;
  /** Why it is not `linux` although that was to be tried first. */
  readonly note?: string;
}

export async function openBackend(options: BackendOptions): Promise<Backend> {
  if (options.kind === 'userspace') return openUserspace(options);
  try {
    return await openLinux(options);
  } catch (error) {
    if (options.kind === 'linux' || !isUnavailable(error)) throw error;
    return { ...(await openUserspace(options)), note: error.message };
  }
}

/** Throws a TunnelError if no backend could be opened: to be asked before anything is given for one. */
export async function assertCanOpen({
  kind,
  name,
  listenPort,
}: Pick<BackendOptions, 'kind' | 'name' | 'listenPort'>): Promise<void> {
  await assertPortFree(listenPort);
  if (kind === 'userspace') return;
  const { assertCanOpenTun } = await import('../tunnel/linux/open.ts');
  try {
    assertCanOpenTun(name);
  } catch (error) {
    if (kind === 'linux' || !isUnavailable(error)) throw error;
  }
}

async function assertPortFree(port: number): Promise<void> {
  try {
    await takeUdpPort(port);
  } catch (error) {
    throw explain(error);
  }
}

/** There are no interfaces here, or not for this user. */
function isUnavailable(error: unknown): error is TunnelError {
  if (!(error instanceof TunnelError)) return false;
  return error.code === 'not_permitted' || error.code === 'not_supported';
}

/** Loaded only here: it needs node:ffi, which userspace mode does without. */
async function openLinux(options: BackendOptions): Promise<Backend> {
  const [{ openLinuxTunnel }, { InterfaceEcho }, { RangeGuard }] = await Promise.all([
    import('../tunnel/linux/open.ts'),
    import('./interface-echo.ts'),
    import('./range-guard.ts'),
  ]);
  new RangeGuard(options.tunnelPrefix, () => undefined).assertFree();
  const tunnel = await openLinuxTunnel({ ...tunnelOptions(options), log: options.log });
  const echo = new InterfaceEcho(
    () => tunnel.name,
    options.tunnelAddress,
    (body) => tunnel.inNamespace(body),
  );
  void tunnel.closed.then(() => echo.close());
  const range = new RangeGuard(options.tunnelPrefix, () => tunnel.name);
  return {
    kind: 'linux',
    tunnel,
    ping: echo.ping,
    datagrams: systemDatagrams(options.tunnelAddress),
    overlap: () => range.overlap(),
    onLease: (until) => tunnel.extendLease(until),
    describe: () => tunnel.describe(),
  };
}

async function openUserspace(options: BackendOptions): Promise<Backend> {
  const tunnel = await createTunnel({ ...tunnelOptions(options), mode: 'userspace' });
  return {
    kind: 'userspace',
    tunnel,
    ping: (address, timeout) => tunnel.ping(address, { timeout }),
    datagrams: userspaceDatagrams(tunnel),
    onLease: (until) => tunnel.extendLease(until),
  };
}

function tunnelOptions(options: BackendOptions) {
  return {
    name: options.name,
    privateKey: options.privateKey,
    listenPort: options.listenPort,
    addresses: [`${options.tunnelAddress}/${options.tunnelPrefix.split('/')[1]}`],
    requirePsk: true,
    rotation: {
      epoch: options.epochS * 1000,
      grace: options.graceS * 1000,
      quietPairsWait: true,
    },
  };
}
