import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { CallError } from '../agent/controller-answer.ts';
import { readKnownController } from '../agent/known-controller.ts';
import { readNodeKeys } from '../agent/node-keys.ts';
import { openNodeState } from '../agent/node-state.ts';
import { fromBase64 } from '../contract/encoding.ts';
import { type EpochDocument, epochInPages } from '../contract/epoch.ts';
import { type AdminTarget, adminCall } from './admin-client.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { networkClient } from './network-client.ts';

/** Where the present epoch is read. */
export interface EpochSource {
  /** Over the network, whatever else there is. */
  readonly url?: string;
  /** The controller's admin socket; without one, the default socket if it is there. */
  readonly socket?: string;
  readonly defaultSocket: string;
  /** State directory of the node on this machine. */
  readonly state: string;
  /** URL of a controller, for machines without its socket; else the one that the node knows. */
  readonly controller?: string | undefined;
}

/**
 * The present epoch as the controller tells it: by its socket on its own machine, elsewhere over the
 * network, signed by the node that this machine is. Rejects with a `CommandError`.
 */
export async function readEpoch(source: EpochSource): Promise<EpochDocument> {
  const url = source.url ?? urlElsewhere(source);
  if (url !== undefined) return overNetwork(url, source.state);
  return epochFromSocket({ socket: source.socket ?? source.defaultSocket });
}

/** The same, by the socket alone. */
export function epochFromSocket({ socket }: AdminTarget): Promise<EpochDocument> {
  return epochInPages((target) => adminCall<EpochDocument>({ socket }, 'GET', target));
}

function urlElsewhere(source: EpochSource): string | undefined {
  if (source.socket !== undefined || existsSync(source.defaultSocket)) return undefined;
  return source.controller ?? readKnownController(source.state);
}

async function overNetwork(url: string, state: string): Promise<EpochDocument> {
  const known = readKnownController(state) !== undefined;
  const enrolment = known ? openNodeState(state).readEnrolment() : undefined;
  const client = networkClient(url, fromBase64(enrolment?.mesh_id ?? '', 32));
  try {
    // Nobody's signature is refused, except on the controller's own machine, which needs none.
    const seed = known ? readNodeKeys(state).signing : new Uint8Array(randomBytes(32));
    return await client.getEpoch(seed);
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    const exitCode = error.status === 0 ? EXIT.unreachable : EXIT.refused;
    const members = 'only members may ask this over the network';
    const signed = known ? `the node of ${state} signed` : `there is no node in ${state}`;
    const hint = error.status === 401 || error.status === 403 ? ` (${members}; ${signed})` : '';
    throw new CommandError(exitCode, error.code, `${url}: ${error.message}${hint}`);
  }
}
