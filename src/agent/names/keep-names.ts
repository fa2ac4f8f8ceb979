import type { AgentClock } from '../clock.ts';
import type { Counters } from '../counters.ts';
import type { EmitEvent } from '../events.ts';
import { respondToDns } from './dns-responder.ts';
import { removeNames, writeNames } from './hosts-file.ts';

/** Where members can be found by name; each is asked for. */
export interface NamesOptions {
  /** Path of a hosts file that gets a block of names. */
  readonly hosts?: string;
  /** UDP port on the tunnel address that answers DNS queries. */
  readonly dnsPort?: number;
}

export interface NamesSurroundings {
  readonly tunnelAddress: string;
  /** Tunnel addresses of this node and of the members in force, by node id. */
  readonly names: () => ReadonlyMap<string, string>;
  readonly clock: AgentClock;
  readonly counters: Counters;
  readonly emit: EmitEvent;
}

const LOOK_MS = 1000;

/** Keeps names up to date until `signal` aborts. What cannot be done is said, and the node goes on. */
export async function keepNames(
  { hosts, dnsPort }: NamesOptions,
  surroundings: NamesSurroundings,
  signal: AbortSignal,
): Promise<void> {
  const parts: Promise<void>[] = [];
  if (hosts !== undefined) parts.push(keepHosts(hosts, surroundings, signal));
  if (dnsPort !== undefined) parts.push(keepDns(dnsPort, surroundings, signal));
  await Promise.all(parts);
}

async function keepHosts(
  path: string,
  { names, clock, emit }: NamesSurroundings,
  signal: AbortSignal,
): Promise<void> {
  let failure: string | undefined;
  const attempt = async (write: () => Promise<void>): Promise<boolean> => {
    try {
      await write();
      if (failure !== undefined) emit({ event: 'file', path, ok: true, detail: '' });
      failure = undefined;
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      if (detail !== failure) emit({ event: 'file', path, ok: false, detail });
      failure = detail;
    }
    return failure === undefined;
  };
  let written: string | undefined;
  while (!signal.aborted) {
    const now = names();
    const text = JSON.stringify([...now]);
    if (text !== written && (await attempt(() => writeNames(path, now)))) written = text;
    await clock.sleep(LOOK_MS, signal);
  }
  await attempt(() => removeNames(path));
}

async function keepDns(
  port: number,
  { tunnelAddress: address, names, counters, emit }: NamesSurroundings,
  signal: AbortSignal,
): Promise<void> {
  try {
    const addressOf = (name: string) => names().get(name);
    await respondToDns({ address, port, addressOf, counters }, signal);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    emit({ event: 'device_note', detail: `no DNS at ${address}:${port}: ${why}` });
  }
}
