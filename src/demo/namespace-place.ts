import { execFile, spawn } from 'node:child_process';
import { accessSync, constants, readdirSync } from 'node:fs';
import { promisify } from 'node:util';
import type { Place } from './place.ts';

const run = promisify(execFile);

/** Underlay of the demo: TEST-NET-1 (RFC 5737), seen inside its namespaces only. */
const UNDERLAY = '192.0.2';
const CONTROLLER_PORT = 8440;
const WIREGUARD_PORT = 51_820;
const NAME = /^meshnet-(\d+)-/;

/** Why real interfaces in namespaces cannot be had here, or undefined if they can. */
export async function namespacesUnavailable(): Promise<string | undefined> {
  if (process.platform !== 'linux') return `this is ${process.platform}, not Linux`;
  if (process.geteuid?.() !== 0) return 'this is not root';
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
  } catch {
    return 'there is no usable /dev/net/tun';
  }
  const trial = `meshnet-${process.pid}-trial`;
  try {
    await run('ip', ['netns', 'add', trial]);
    await run('ip', ['netns', 'delete', trial]);
    return undefined;
  } catch (error) {
    const { code, stderr } = error as { code?: unknown; stderr?: string };
    if (code === 'ENOENT') return 'there is no `ip` command';
    return `no namespace can be made (${(stderr ?? '').trim() || String(error)})`;
  }
}

/**
 * A namespace per node and one, the hub, for the controller and a bridge between them. Names carry
 * this process's id, so that demos run beside each other; what a demo that was killed left behind
 * is removed here.
 */
export async function namespacePlace(
  nodeIds: readonly string[],
  directory: string,
): Promise<Place> {
  await removeLeftovers();
  const prefix = `meshnet-${process.pid}-`;
  const hub = `${prefix}hub`;
  const names = [hub, ...nodeIds.map((nodeId) => prefix + nodeId)];
  const reaper = startReaper(names, directory);
  const host = (nodeId: string) => `${UNDERLAY}.${10 + nodeIds.indexOf(nodeId)}`;
  const remove = async () => {
    for (const name of names) await run('ip', ['netns', 'delete', name]).catch(() => {});
    reaper.kill('SIGKILL');
  };
  try {
    for (const name of names) {
      await run('ip', ['netns', 'add', name]);
      await run('ip', ['-n', name, 'link', 'set', 'lo', 'up']);
    }
    await run('ip', ['-n', hub, 'link', 'add', 'br0', 'type', 'bridge']);
    await run('ip', ['-n', hub, 'address', 'add', `${UNDERLAY}.1/24`, 'dev', 'br0']);
    await run('ip', ['-n', hub, 'link', 'set', 'br0', 'up']);
    for (const nodeId of nodeIds) {
      const inside = prefix + nodeId;
      const veth = ['-n', hub, 'link', 'add', nodeId, 'type', 'veth'];
      await run('ip', [...veth, 'peer', 'name', 'eth0', 'netns', inside]);
      await run('ip', ['-n', hub, 'link', 'set', nodeId, 'master', 'br0', 'up']);
      await run('ip', ['-n', inside, 'address', 'add', `${host(nodeId)}/24`, 'dev', 'eth0']);
      await run('ip', ['-n', inside, 'link', 'set', 'eth0', 'up']);
    }
  } catch (error) {
    await remove();
    const stderr = (error as { stderr?: string }).stderr?.trim();
    throw new Error(`setting up namespaces: ${stderr || String(error)}`, { cause: error });
  }
  return {
    mode: 'linux',
    wrap: (part, command) => {
      const name = part === 'controller' ? hub : prefix + part;
      return ['ip', 'netns', 'exec', name, ...command];
    },
    controllerListen: `${UNDERLAY}.1:${CONTROLLER_PORT}`,
    controllerUrl: `http://${UNDERLAY}.1:${CONTROLLER_PORT}`,
    address: host,
    listenPort: WIREGUARD_PORT,
    hints: [
      `try in another terminal: ip netns exec ${prefix}${nodeIds[0]} COMMAND, with ping 10.10.0.3, tcpdump -i mesh0, nc or iperf3, as far as they are installed`,
    ],
    remove,
  };
}

/** Namespaces of demos whose process is gone. */
async function removeLeftovers(): Promise<void> {
  let names: string[];
  try {
    names = readdirSync('/run/netns');
  } catch {
    return;
  }
  for (const name of names) {
    const pid = Number(NAME.exec(name)?.[1]);
    if (!Number.isInteger(pid) || pid === process.pid || isAlive(pid)) continue;
    await run('ip', ['netns', 'delete', name]).catch(() => {});
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/**
 * Waits for the end of its standard input, which comes when this process dies in whatever way, and
 * then removes what could not be removed any more. The parts end by themselves for the same reason.
 */
function startReaper(names: readonly string[], directory: string) {
  const script =
    'cat >/dev/null; for n in "$@"; do [ "$n" = "$1" ] || ip netns delete "$n" 2>/dev/null; done; sleep 3; rm -rf "$1"';
  const reaper = spawn('/bin/sh', ['-c', script, 'meshnet-reaper', directory, ...names], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  reaper.stdin.on('error', () => {});
  reaper.unref();
  return reaper;
}
