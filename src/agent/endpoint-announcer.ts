import { Backoff } from './backoff.ts';
import type { AgentClock, RandomNumber } from './clock.ts';
import { CallError } from './controller-answer.ts';
import type { ControllerClient } from './controller-client.ts';
import type { EmitEvent } from './events.ts';

export interface EndpointAnnouncerOptions {
  readonly client: Pick<ControllerClient, 'putEndpoint'>;
  readonly nodeId: string;
  readonly signingSeed: Uint8Array;
  readonly clock: AgentClock;
  readonly random: RandomNumber;
  readonly emit: EmitEvent;
  /** What it is now. */
  readonly endpoint: () => Promise<string | null>;
  /** What the mesh was told last; undefined: not known. */
  readonly told: string | null | undefined;
  readonly remember: (endpoint: string | null) => Promise<void>;
}

/** How often (ms) this machine's own address is looked at. */
const LOOK_MS = 15_000;
const FIRST_RETRY_MS = 1000;
const MAX_RETRY_MS = 60_000;

/** Tells the controller where this node can be reached whenever that has changed. */
export async function announceEndpoint(
  options: EndpointAnnouncerOptions,
  signal: AbortSignal,
): Promise<void> {
  const { client, nodeId, signingSeed, clock, random, emit } = options;
  const backoff = new Backoff(FIRST_RETRY_MS, MAX_RETRY_MS, random);
  let { told } = options;
  let refused: string | null | undefined;
  while (!signal.aborted) {
    const endpoint = await options.endpoint();
    let waitMs = LOOK_MS;
    if (endpoint !== told && endpoint !== refused) {
      try {
        await client.putEndpoint(nodeId, signingSeed, endpoint, signal);
        emit({ event: 'endpoint', endpoint, ok: true, detail: '' });
        await options.remember(endpoint);
        told = endpoint;
        backoff.reset();
      } catch (error) {
        if (signal.aborted) return;
        const detail = error instanceof Error ? error.message : String(error);
        emit({ event: 'endpoint', endpoint, ok: false, detail });
        // What the controller will not have now it will not have again; another one it may.
        const isFinal = error instanceof CallError && error.status >= 400 && error.status < 429;
        if (isFinal && error.code !== 'signature_expired') refused = endpoint;
        else waitMs = backoff.next();
      }
    }
    await clock.sleep(waitMs, signal);
  }
}
