import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { VirtualTun } from '../io/portable/virtual-tun.ts';
import { createTunnel, type Tunnel, TunnelError } from '../tunnel/create-tunnel.ts';
import { parseIpv4 } from './address.ts';
import { pingCommand } from './ping-command.ts';
import type { Ping } from './probe.ts';

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
}

/** The tunnel of a node and the way to send an echo through it. */
export interface Backend {
  readonly kind: 'linux' | 'userspace' | 'uapi';
  readonly tunnel: Pick<Tunnel, 'configure' | 'status' | 'expireKeypairs' | 'close' | 'closed'>;
  readonly ping: Ping;
  /** Why it is not `linux` although that was to be tried first. */
  readonly note?: string;
}

const run = promisify(execFile);

export async function openBackend(options: BackendOptions): Promise<Backend> {
  if (options.kind === 'userspace') return openUserspace(options);
  try {
    return await openLinux(options);
  } catch (error) {
    const cannot =
      error instanceof TunnelError &&
      (error.code === 'not_permitted' || error.code === 'not_supported');
    if (options.kind === 'linux' || !cannot) throw error;
    return { ...(await openUserspace(options)), note: error.message };
  }
}

function tunnelOptions(options: BackendOptions) {
  return {
    name: options.name,
    privateKey: options.privateKey,
    listenPort: options.listenPort,
    requirePsk: true,
    rotation: { epoch: options.epochS * 1000, grace: options.graceS * 1000 },
  };
}

async function openLinux(options: BackendOptions): Promise<Backend> {
  const tunnel = await createTunnel({ ...tunnelOptions(options), mode: 'linux' });
  try {
    const length = options.tunnelPrefix.split('/')[1]!;
    const address = `${options.tunnelAddress}/${length}`;
    await run('ip', ['address', 'replace', address, 'dev', tunnel.name]);
    await run('ip', ['link', 'set', tunnel.name, 'up']);
  } catch (error) {
    await tunnel.close();
    const { code, stderr } = error as { code?: unknown; stderr?: string };
    const why = code === 'ENOENT' ? 'there is no `ip` command' : (stderr?.trim() ?? String(error));
    throw new TunnelError('not_supported', `setting up ${tunnel.name}: ${why}`, { cause: error });
  }
  return { kind: 'linux', tunnel, ping: pingCommand(options.tunnelAddress) };
}

async function openUserspace(options: BackendOptions): Promise<Backend> {
  const tunnel = await createTunnel({ ...tunnelOptions(options), mode: 'userspace' });
  const virtual = new VirtualTun({
    addresses: [parseIpv4(options.tunnelAddress)!],
    transmit: (packet) => tunnel.send(packet),
  });
  tunnel.onPacket = (packet) => virtual.receive(packet);
  return {
    kind: 'userspace',
    tunnel,
    ping: (address, timeout) => virtual.ping(parseIpv4(address)!, { timeout }),
  };
}
