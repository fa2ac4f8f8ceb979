import { existsSync } from 'node:fs';
import { readKnownController } from '../agent/known-controller.ts';
import { type EpochDocument, epochInPages } from '../contract/epoch.ts';
import { type AdminTarget, adminCall } from './admin-client.ts';
import { memberClient } from './member-client.ts';

/** Where the present epoch is read. */
export interface EpochSource {
  /** Over the network, whatever else there is. */
  readonly url?: string;
  /** The controller's admin socket; without one, the default socket if it is there. */
  readonly socket?: string;
  readonly defaultSocket: string;
  /** A context, whatever else there is. */
  readonly context?: string;
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
  const { context } = source;
  if (context !== undefined) return adminCall({ socket: '', context }, 'GET', '/v1/epoch');
  const url = source.url ?? urlElsewhere(source);
  if (url !== undefined) {
    return memberClient(url, source.state).ask((client, seed) => client.getEpoch(seed));
  }
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
