import { printable } from '../../contract/printable.ts';
import type { CryptoProvider } from '../../crypto/provider.ts';
import { securityEventsOf, signSecurityEvent } from '../security-event.ts';
import type { Subscriber } from '../spine.ts';
import { CAPACITY, type DeliveryOptions, deliver, UndeliveredError } from './deliver.ts';

/** Somebody who takes Security Event Tokens by push (RFC 8935). */
export interface EventReceiver {
  /** Also the audience of its tokens. */
  readonly url: string;
  /** Shown to it with every token; undefined: it asks for none. */
  readonly bearer?: string;
}

export interface SecurityEventsOptions extends EventReceiver, DeliveryOptions {
  readonly crypto: CryptoProvider;
  /** 32 bytes. */
  readonly meshId: Uint8Array;
  readonly signingSeed: Uint8Array;
}

/**
 * Tells a receiver of every node that becomes a member or is none any more, a token for each. While it is
 * away the rest of an epoch is not tried; a token that it refuses is passed over.
 */
export function securityEventsSubscriber(options: SecurityEventsOptions): Subscriber {
  const { crypto, meshId, signingSeed, url, bearer } = options;
  const headers = {
    'content-type': 'application/secevent+jwt',
    accept: 'application/json',
    ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
  };
  return {
    name: `security events ${new URL(url).host}`,
    events: ['epoch_committed', 'removed'],
    capacity: CAPACITY,
    handle: async (event) => {
      const tokens = securityEventsOf(event, meshId);
      let refused: Error | undefined;
      for (const token of tokens) {
        const body = signSecurityEvent(crypto, signingSeed, token, url);
        try {
          await deliver(options, { url, body, headers }, refusalOf);
        } catch (error) {
          if (!(error instanceof UndeliveredError) || !error.isFinal) throw error;
          refused = error;
        }
      }
      if (refused !== undefined) throw refused;
    },
  };
}

/** RFC 8935 section 2.3: `{"err": ..., "description": ...}`. */
function refusalOf(body: string): string {
  try {
    const { err, description } = JSON.parse(body) as Record<string, unknown>;
    const said = [err, description].filter((one) => typeof one === 'string').join(': ');
    return said === '' ? '' : ` (${printable(said.slice(0, 200))})`;
  } catch {
    return '';
  }
}
