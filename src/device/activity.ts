import type { Timers } from '../session/timers.ts';
import type { PeerActivity } from './data-plane.ts';

/**
 * Turns what the data path did between two samples into timer events, in the order in which it
 * happened; `seen` becomes a copy of `now`. True if authenticated packets came in.
 */
export function sampleActivity(seen: PeerActivity, now: PeerActivity, timers: Timers): boolean {
  const received = now.lastReceivedAt > seen.lastReceivedAt;
  const sendingCameFirst = now.lastSentAt <= now.lastReceivedAt;
  if (sendingCameFirst) sent(seen, now, timers);
  if (received) {
    timers.authenticatedPacketReceived(now.lastReceivedAt);
    if (now.lastDataReceivedAt > seen.lastDataReceivedAt) {
      timers.dataReceived(now.lastDataReceivedAt);
    }
  }
  if (!sendingCameFirst) sent(seen, now, timers);
  Object.assign(seen, now);
  return received;
}

function sent(seen: PeerActivity, now: PeerActivity, timers: Timers): void {
  if (now.lastSentAt <= seen.lastSentAt) return;
  timers.authenticatedPacketSent(now.lastSentAt);
  if (now.lastDataSentAt > seen.lastDataSentAt) timers.dataSent(now.lastDataSentAt);
}
