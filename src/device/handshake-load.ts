/**
 * Own tuning: handshake messages a second that are taken without a second look, and how many more
 * at once. One costs a quarter of a millisecond with node:crypto, a few with noble.
 */
const MESSAGES_PER_SECOND = 500;
const BURST = 128;
const UNDER_LOAD_AFTER_TIME = 1000;

/**
 * Says from the rate of handshake messages whether a device is under load. For drivers that let the
 * device act on every message as it is read from the socket (userspace mode): there the device's
 * own queue never grows, and what does not fit waits in the kernel.
 */
export class HandshakeLoad {
  private level = 0;
  private at = 0;
  private underLoadUntil = Number.NEGATIVE_INFINITY;

  /** Counts one message with a valid mac1; true if the device is under load. */
  count(now: number): boolean {
    const drained = ((now - this.at) * MESSAGES_PER_SECOND) / 1000;
    this.level = Math.min(BURST, Math.max(0, this.level - drained) + 1);
    this.at = now;
    if (this.level >= BURST) this.underLoadUntil = now + UNDER_LOAD_AFTER_TIME;
    return now < this.underLoadUntil;
  }
}
