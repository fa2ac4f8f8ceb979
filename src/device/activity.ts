import type { Timers } from '../session/timers.ts';
import type { PeerActivity } from './data-plane.ts';

/**
 * Turns what the data path did between two samples into timer events. A sample knows only the last
 * time of each kind, so what was answered within it must not arm a timer: a keepalive is due if
 * data came in after the last packet went out, and a handshake if data went out after the last
 * packet came in. `seen` becomes a copy of `now`. True if authenticated packets came in.
 */
export function sampleActivity(seen: PeerActivity, now: PeerActivity, timers: Timers): boolean {
  const received = now.lastReceivedAt > seen.lastReceivedAt;
  if (received) timers.authenticatedPacketReceived(now.lastReceivedAt);
  if (now.lastSentAt > seen.lastSentAt) timers.authenticatedPacketSent(now.lastSentAt);
  if (now.lastDataReceivedAt > seen.lastDataReceivedAt) {
    if (now.lastDataReceivedAt >= now.lastSentAt) timers.dataReceived(now.lastDataReceivedAt);
  }
  if (now.lastDataSentAt > seen.lastDataSentAt) {
    if (now.lastDataSentAt >= now.lastReceivedAt) timers.dataSent(now.lastDataSentAt);
  }
  Object.assign(seen, now);
  return received;
}
