import type { AddressBudget } from './address-budget.ts';
import type { Benchmarks } from './benchmarks.ts';
import type { ControllerClock } from './clock.ts';
import type { ConfigBuilder } from './config-builder.ts';
import type { Enrolments } from './enrolments.ts';
import type { EmitControllerEvent } from './events.ts';
import type { Governor } from './governor.ts';
import type { Presence } from './presence.ts';
import type { PublishedLog } from './record/published-log.ts';
import type { RequestAuth } from './request-auth.ts';
import type { Settings } from './settings.ts';
import type { EventSpine } from './spine.ts';
import type { Store } from './store/store.ts';
import type { StreamHub } from './stream-hub.ts';
import type { EventCounters } from './subscribers/counters.ts';

/** What the routes are made of. */
export interface Services {
  readonly meshId: Uint8Array;
  readonly settings: Settings;
  readonly clock: ControllerClock;
  readonly store: Store;
  readonly governor: Governor;
  readonly auth: RequestAuth;
  readonly benchmarks: Benchmarks;
  readonly enrolments: Enrolments;
  readonly configs: ConfigBuilder;
  readonly log: PublishedLog;
  readonly streams: StreamHub;
  readonly presence: Presence;
  readonly emit: EmitControllerEvent;
  readonly spine: EventSpine;
  readonly counters: EventCounters;
  readonly budget: AddressBudget;
  /** Answered problems by code. */
  readonly problems: Map<string, number>;
}
