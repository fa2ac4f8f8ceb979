import { createHmac } from 'node:crypto';
import type { ControllerEventName, StampedEvent } from '../events.ts';
import type { Subscriber } from '../spine.ts';

/** Somebody who wants to hear of every change of a verdict and of who is enrolled. */
export interface Webhook {
  readonly url: string;
  /** Of the HMAC. */
  readonly secret: Uint8Array;
}

export interface WebhookOptions extends Webhook {
  /** Base64. */
  readonly meshId: string;
  readonly fetch: typeof fetch;
  readonly sleep: (ms: number) => Promise<void>;
}

const EVENTS = [
  'epoch_committed',
  'enrolled',
  'removed',
  'endpoint_changed',
  'restored',
] as const satisfies readonly ControllerEventName[];

/** So many wait for a receiver that is slow; what comes beyond is dropped, and counted. */
const CAPACITY = 256;
const TIMEOUT_MS = 5000;
/** Waits between tries, ms. */
const AGAIN_AFTER = [1000, 5000, 30_000] as const;

/**
 * Posts events as JSON, signed as Standard Webhooks says: `webhook-id`, `webhook-timestamp` (s) and
 * `webhook-signature`, which is `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`. A receiver
 * that is away is tried four times; an event that it refuses (4xx) is not tried again.
 */
export function webhookSubscriber(options: WebhookOptions): Subscriber {
  return {
    name: `webhook ${new URL(options.url).host}`,
    events: EVENTS,
    capacity: CAPACITY,
    handle: async (event) => {
      const said = bodyOf(event, options.meshId);
      if (said === undefined) return;
      for (const wait of [...AGAIN_AFTER, undefined]) {
        const failure = await post(options, event, JSON.stringify(said));
        if (failure === undefined) return;
        if (failure.isFinal || wait === undefined) throw new Error(`webhook: ${failure.what}`);
        await options.sleep(wait);
      }
    },
  };
}

/** Undefined: nobody's verdict changed. Of an epoch only what changed is told, not who is a member. */
function bodyOf(event: StampedEvent, meshId: string): object | undefined {
  if (event.event !== 'epoch_committed') return { mesh_id: meshId, ...event };
  const { number, at, epoch, version, changes, removed } = event;
  if (changes.length === 0) return undefined;
  const what = { event: 'verdicts_changed', epoch, version, removed, changes };
  return { mesh_id: meshId, number, at, ...what };
}

/** What went wrong; undefined: it was taken. */
async function post(
  { url, secret, fetch }: WebhookOptions,
  { number, at }: StampedEvent,
  body: string,
): Promise<{ readonly what: string; readonly isFinal: boolean } | undefined> {
  const id = `${at}.${number}`; // the same when it is tried again
  const timestamp = String(Math.floor(at / 1000));
  const mac = createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`).digest('base64');
  const headers = {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': `v1,${mac}`,
  };
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const response = await fetch(url, { method: 'POST', body, headers, redirect: 'error', signal });
    await response.body?.cancel();
    if (response.ok) return undefined;
    const { status } = response;
    const isFinal = status >= 400 && status < 500 && status !== 429 && status !== 408;
    return { what: `the receiver answers ${status}`, isFinal };
  } catch (error) {
    return { what: (error as Error).message, isFinal: false };
  }
}
