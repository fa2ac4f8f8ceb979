import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sampleActivity } from '../../src/device/activity.ts';
import { newActivity } from '../../src/device/data-plane.ts';
import { Timers } from '../../src/session/timers.ts';

const EVENTS = ['data sent', 'keepalive sent', 'data received', 'keepalive received'] as const;
type Event = (typeof EVENTS)[number];

/** Which of the two timers of paper 6.5 are armed. */
const armed = (timers: Timers): string[] => timers.due(Number.MAX_SAFE_INTEGER).toSorted();

/** The truth: every event is told to the timers as it happens. */
function tellEach(events: readonly Event[]): string[] {
  const timers = new Timers(() => 0);
  events.forEach((event, i) => {
    const at = 1000 + i;
    if (event.endsWith('sent')) timers.authenticatedPacketSent(at);
    else timers.authenticatedPacketReceived(at);
    if (event === 'data sent') timers.dataSent(at);
    if (event === 'data received') timers.dataReceived(at);
  });
  return armed(timers);
}

/** What the device does: it sees only the last time of each kind, now and then. */
function tellSamples(samples: readonly (readonly Event[])[]): string[] {
  const timers = new Timers(() => 0);
  const seen = newActivity();
  const now = newActivity();
  let at = 1000;
  for (const events of samples) {
    for (const event of events) {
      if (event.endsWith('sent')) now.lastSentAt = at;
      else now.lastReceivedAt = at;
      if (event === 'data sent') now.lastDataSentAt = at;
      if (event === 'data received') now.lastDataReceivedAt = at;
      at++;
    }
    const received = sampleActivity(seen, now, timers);
    expect(received).toBe(events.some((event) => event.endsWith('received')));
    expect(seen).toEqual(now);
  }
  return armed(timers);
}

test('sampling arms the same timers as telling every event', () => {
  const sample = fc.array(fc.constantFrom(...EVENTS), { maxLength: 6 });
  fc.assert(
    fc.property(fc.array(sample, { maxLength: 6 }), (samples) => {
      expect(tellSamples(samples)).toEqual(tellEach(samples.flat()));
    }),
    { numRuns: 2000 },
  );
});
