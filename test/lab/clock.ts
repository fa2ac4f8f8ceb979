/**
 * One clock for all processes of a proof: CLOCK_MONOTONIC, in ms. Every process of a machine reads
 * the same one, network namespaces or not.
 */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

const SAMPLING_MS = 20;

/**
 * CLOCK_REALTIME minus CLOCK_MONOTONIC, ms, good to some microseconds. Kernel packet timestamps are
 * CLOCK_REALTIME. Date.now() is cut to whole ms and we may be preempted around it, so every reading
 * gives an interval that the offset lies in; what is left is where they all overlap.
 */
export function wallMinusMonotonicMs(): number {
  let least = Number.NEGATIVE_INFINITY;
  let most = Number.POSITIVE_INFINITY;
  const start = monotonicMs();
  for (let before = start; before < start + SAMPLING_MS; ) {
    const wall = Date.now();
    const after = monotonicMs();
    least = Math.max(least, wall - after);
    most = Math.min(most, wall + 1 - before);
    before = after;
  }
  return (least + most) / 2;
}

/**
 * The offset between the two clocks as it was last taken. It is refreshed all the time, so that a
 * slowly corrected wall clock does no harm; one that is set spoils a measurement, and throws.
 */
export class WallClock {
  private offset = wallMinusMonotonicMs();

  refresh(): void {
    const offset = wallMinusMonotonicMs();
    if (Math.abs(offset - this.offset) > 1) throw new Error('the wall clock was set meanwhile');
    this.offset = offset;
  }

  /** CLOCK_MONOTONIC, ms, of a CLOCK_REALTIME in ms. */
  monotonicOf(wall: number): number {
    return wall - this.offset;
  }
}
