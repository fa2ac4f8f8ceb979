import { accepted, type Checked, rejected } from '../../contract/problems.ts';
import type { StampedEvent } from '../events.ts';
import type { Services } from '../services.ts';
import { ROUTINE } from '../subscribers/recent-events.ts';
import { type Actor, atLeast } from './authorise.ts';
import type { Caller } from './caller.ts';
import { NEEDED } from './needed-roles.ts';

/** Each has a queue of its own. */
const MAX_READERS = 32;
const READER = 'reader';

/** Where events go that somebody follows. */
export interface EventSink {
  /** Resolves once there is room for more. */
  write(text: string): Promise<void>;
  /** There will be no more. */
  end(): void;
}

export interface EventsCall {
  /** Also each score and each refused request, from now on. */
  readonly routine: boolean;
  /** Called once it is allowed; what it gives is written to from then on. */
  readonly open: () => EventSink;
}

/** What has happened lately, oldest first, one JSON object a line. */
export async function readEvents(services: Services, caller: Caller): Promise<Checked<string>> {
  const actor = await atLeast(services, caller, NEEDED.readEvents);
  return actor.ok ? accepted(services.recent.all.map(lineOf).join('')) : actor;
}

/**
 * The same, and what happens from now on, for as long as the caller has access. A reader that does not read in time misses events, and a
 * line says how many: `{"event":"missed","count":N}`. Gives what is to be called when it has gone.
 */
export async function followEvents(
  services: Services,
  caller: Caller,
  { routine, open }: EventsCall,
): Promise<Checked<() => void>> {
  const actor = await atLeast(services, caller, NEEDED.readEvents);
  if (!actor.ok) return actor;
  const { spine, recent } = services;
  const readers = spine.deliveries.filter((one) => one.name === READER).length;
  if (readers >= MAX_READERS) {
    return rejected('overloaded', { detail: `At most ${MAX_READERS} may follow at a time.` });
  }
  const sink = open();
  const past = sink.write(recent.all.map(lineOf).join(''));
  let told = 0;
  const { delivery, end } = spine.subscribe({
    name: READER,
    ...(routine ? {} : { except: ROUTINE }),
    handle: async (event) => {
      await past;
      if (isOver(services, actor.value, event)) return sink.end();
      const count = delivery.dropped - told;
      told += count;
      const missed = count === 0 ? '' : `${JSON.stringify({ event: 'missed', count })}\n`;
      await sink.write(missed + lineOf(event));
    },
  });
  return accepted(end);
}

function isOver(
  { certificateRole }: Services,
  { by, until, certificate }: Actor,
  event: StampedEvent,
): boolean {
  if (until !== null && event.at >= until) return true;
  if (certificate !== undefined) return certificateRole(certificate) === undefined;
  return by !== null && event.event === 'asked' && event.what === 'revoke' && event.about === by;
}

function lineOf(event: StampedEvent): string {
  return `${JSON.stringify(event)}\n`;
}
