import { createHmac } from 'node:crypto';
import type { ControllerEventName, StampedEvent } from '../events.ts';
import type { Subscriber } from '../spine.ts';
import { CAPACITY, type DeliveryOptions, deliver } from './deliver.ts';

/** Somebody who wants to hear of every change of a verdict and of who is enrolled. */
export interface Webhook {
  readonly url: string;
  /** Of the HMAC. */
  readonly secret: Uint8Array;
}

export interface WebhookOptions extends Webhook, DeliveryOptions {
  /** Base64. */
  readonly meshId: string;
}

const EVENTS = [
  'epoch_committed',
  'enrolled',
  'removed',
  'lapsed',
  'endpoint_changed',
  'restored',
] as const satisfies readonly ControllerEventName[];

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
      const body = JSON.stringify(said);
      const headers = signed(options.secret, event, body);
      await deliver(options, { url: options.url, body, headers });
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

function signed(
  secret: Uint8Array,
  { number, at }: StampedEvent,
  body: string,
): Record<string, string> {
  const id = `${at}.${number}`; // the same when it is tried again
  const timestamp = String(Math.floor(at / 1000));
  const mac = createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`).digest('base64');
  return {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': `v1,${mac}`,
  };
}
