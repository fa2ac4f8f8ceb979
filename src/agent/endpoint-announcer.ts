import type { EndpointAnswer } from '../contract/endpoint.ts';
import { Backoff } from './backoff.ts';
import type { AgentClock, RandomNumber } from './clock.ts';
import { CallError } from './controller-answer.ts';
import type { ControllerClient, Whereabouts } from './controller-client.ts';
import type { EmitEvent } from './events.ts';

export interface EndpointAnnouncerOptions {
  readonly client: Pick<ControllerClient, 'putEndpoint'>;
  readonly nodeId: string;
  readonly signingSeed: Uint8Array;
  readonly clock: AgentClock;
  readonly random: RandomNumber;
  readonly emit: EmitEvent;
  /** Where this node is, or may be, now. */
  readonly where: () => Promise<Whereabouts>;
  /** The one place that the mesh was told last; undefined: not known. */
  readonly told: string | null | undefined;
  readonly remember: (endpoint: string | null) => Promise<void>;
}

/** How often (ms) this machine's own addresses are looked at. */
const LOOK_MS = 15_000;
/** How often (ms) the controller is to look anew where this node comes from: only it can see that. */
const SEEN_MS = 300_000;
const FIRST_RETRY_MS = 1000;
const MAX_RETRY_MS = 60_000;

/** Tells the controller where this node can be reached, at first and whenever that has changed. */
export class EndpointAnnouncer {
  private readonly options: EndpointAnnouncerOptions;
  private answer: EndpointAnswer | undefined;

  constructor(options: EndpointAnnouncerOptions) {
    this.options = options;
  }

  /** Where members are told to try; undefined before the controller has said so. */
  get places(): readonly string[] | undefined {
    if (this.answer === undefined) return undefined;
    const { endpoint, candidates = [] } = this.answer;
    return endpoint === null ? [] : [endpoint, ...candidates];
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, nodeId } = this.options;
    const backoff = new Backoff(FIRST_RETRY_MS, MAX_RETRY_MS, random);
    let told = keyOf(this.options.told);
    if (this.options.told !== undefined) {
      this.answer = { node_id: nodeId, endpoint: this.options.told };
    }
    let toldAt = Number.NEGATIVE_INFINITY;
    let refused: string | undefined;
    let said = '';
    while (!signal.aborted) {
      const where = await this.options.where();
      const key = keyOf(where);
      const isSeen = isOffer(where) && clock.monotonic() - toldAt >= SEEN_MS;
      let waitMs = LOOK_MS;
      if ((key !== told || isSeen) && key !== refused) {
        try {
          await this.tell(where, signal);
          told = key;
          toldAt = clock.monotonic();
          said = '';
          backoff.reset();
        } catch (error) {
          if (signal.aborted) return;
          const detail = error instanceof Error ? error.message : String(error);
          if (detail !== said) this.refused(where, detail);
          said = detail; // once, however often it is tried
          // What the controller will not have now it will not have again; another one it may.
          const isFinal = error instanceof CallError && error.status >= 400 && error.status < 429;
          if (isFinal && error.code !== 'signature_expired') refused = key;
          else waitMs = backoff.next();
        }
      }
      await clock.sleep(waitMs, signal);
    }
  }

  private refused(where: Whereabouts, detail: string): void {
    const [endpoint = null, ...candidates] = isOffer(where)
      ? where.candidates
      : [where ?? undefined];
    const others = candidates.filter((one) => one !== undefined);
    this.options.emit({ event: 'endpoint', endpoint, candidates: others, ok: false, detail });
  }

  private async tell(where: Whereabouts, signal: AbortSignal): Promise<void> {
    const { client, nodeId, signingSeed, emit, remember } = this.options;
    const before = this.places;
    this.answer = await client.putEndpoint(nodeId, signingSeed, where, signal);
    const { endpoint, candidates = [] } = this.answer;
    if (before?.join() !== this.places!.join() || !isOffer(where)) {
      emit({ event: 'endpoint', endpoint, candidates, ok: true, detail: '' });
    }
    await remember(isOffer(where) ? null : where);
  }
}

const isOffer = (where: Whereabouts | undefined) => where !== null && typeof where === 'object';

/** Undefined if nothing is known. */
function keyOf(where: Whereabouts | undefined): string | undefined {
  return where === undefined ? undefined : JSON.stringify(where);
}
