import type { Level, Logger } from 'pino';

import { type ControllerEventName, describeControllerEvent } from '../events.ts';
import type { Subscriber } from '../spine.ts';

/** Where it is not `info`. */
const LEVELS: Partial<Record<ControllerEventName, Level>> = {
  score_accepted: 'debug',
  refused: 'debug',
  waiting: 'warn',
  overload: 'warn',
  descriptors_short: 'warn',
  restored: 'warn',
  brake: 'warn',
  policy_set: 'warn',
  state_lost: 'error',
  clients_refused: 'error',
  epoch_failed: 'error',
  request_failed: 'error',
  subscriber_failed: 'error',
};

/** Every event as one line: its fields, and a sentence as `msg`. */
export function logSubscriber(logger: Logger): Subscriber {
  return {
    name: 'log',
    handle: (event) => logger[LEVELS[event.event] ?? 'info'](event, describeControllerEvent(event)),
  };
}
