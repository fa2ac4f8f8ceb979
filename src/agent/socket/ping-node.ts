import type { Ping } from '../probe.ts';
import type { NodeStatusDocument } from '../status.ts';

/** An echo through the tunnel, and what is known of the way. */
export interface PingAnswer {
  readonly node: string;
  readonly address: string;
  /** Whether the roster lists the node as a member. */
  readonly allowed: boolean;
  /** ms until the reply came out of the tunnel; null: none came in time. */
  readonly rtt_ms: number | null;
  /** Why it could not be asked; null if it was. */
  readonly error: string | null;
  /** Where packets to it are sent; null: nowhere yet, or it is no peer. */
  readonly endpoint: string | null;
  readonly handshake_age_s: number | null;
}

export interface PingSources {
  readonly ping: Ping;
  readonly status: () => NodeStatusDocument;
  readonly roster: () => readonly {
    readonly node_id: string;
    readonly tunnel_address: string;
    readonly allowed: boolean;
  }[];
}

const TIMEOUT_MS = 2000;

/** One echo to a node of the roster, denied ones too; undefined: there is none of that name. */
export async function pingNode(
  node: string,
  { ping, status, roster }: PingSources,
): Promise<PingAnswer | undefined> {
  const entry = roster().find((one) => one.node_id === node);
  if (entry === undefined) return undefined;
  const { tunnel_address: address, allowed } = entry;
  let rttMs: number | undefined;
  let error: string | null = null;
  try {
    rttMs = await ping(address, TIMEOUT_MS);
  } catch (failure) {
    error = failure instanceof Error ? failure.message : String(failure);
  }
  const peer = status().peers.find((one) => one.node_id === node); // as the echo left it
  return {
    node,
    address,
    allowed,
    rtt_ms: rttMs === undefined ? null : Math.round(rttMs * 1000) / 1000,
    error,
    endpoint: peer?.endpoint ?? null,
    handshake_age_s: peer?.handshake_age_s ?? null,
  };
}
