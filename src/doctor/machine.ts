import { existsSync, readFileSync, type StatsFs, statfsSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { ensurePrivateDirectory } from '../ground/directory.ts';
import { explainOverlap, localNetworks, overlapping } from '../io/linux/overlaps.ts';
import { type Finding, ok, problem, warning } from './finding.ts';

/** What node and controller both need of the machine that they run on. */

const MIB = 1 << 20;
/** Less free space than this (bytes) stops writes soon, and less than that is to be known. */
const TOO_LITTLE = 64 * MIB;
const LITTLE = 512 * MIB;

export function diskOf(state: string): Finding[] {
  return diskFindings(state, statfsSync(state));
}

export function diskFindings(
  state: string,
  { bavail, bsize, files, ffree }: Pick<StatsFs, 'bavail' | 'bsize' | 'files' | 'ffree'>,
): Finding[] {
  const free = bavail * bsize;
  const text = `${Math.floor(free / MIB)} MiB are free where ${state} lies`;
  const remedy = 'make room, or move the state to another disk';
  if (files > 0 && ffree === 0) return [problem('disk', `no file can be made in ${state}`, remedy)];
  if (free < TOO_LITTLE) return [problem('disk', text, remedy)];
  return [free < LITTLE ? warning('disk', text, remedy) : ok('disk', text)];
}

/** Who owns the state, and who else may write there. It must be there. */
export function stateRights(state: string): Finding[] {
  try {
    ensurePrivateDirectory(state);
    return [ok('rights', `${state} is this user's alone`)];
  } catch (error) {
    return [problem('rights', (error as Error).message, 'do what the message says')];
  }
}

/** `own`: the interface of the mesh, which may have them. */
export function overlapOf(range: string, own: string | undefined): Finding[] {
  const network = overlapping(range, own, localNetworks());
  if (network === undefined) return [ok('overlap', `no other network here has ${range}`)];
  const remedy = 'start the controller with another --tunnel-prefix, or renumber that network';
  return [problem('overlap', explainOverlap(range, network), remedy)];
}

/** The interface of this machine that has an address; undefined: none has. */
export function interfaceWith(address: string): string | undefined {
  for (const [name, addresses = []] of Object.entries(networkInterfaces())) {
    if (addresses.some((one) => one.address === address)) return name;
  }
  return undefined;
}

/** MTU of an interface, bytes; undefined where the system does not say. */
export function mtuOf(interfaceName: string): number | undefined {
  const file = `/sys/class/net/${interfaceName}/mtu`;
  return existsSync(file) ? Number(readFileSync(file, 'utf8')) : undefined;
}
