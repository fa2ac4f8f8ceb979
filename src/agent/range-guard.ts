import { explainOverlap, localNetworks, overlapping } from '../io/linux/overlaps.ts';

/** The mesh's addresses are also somebody else's on this machine. The message names both. */
export class MeshRangeError extends Error {
  override readonly name = 'MeshRangeError';
}

/** How long (ms) an answer is good for: the addresses of a machine change, but not often. */
const FRESH_MS = 2000;

/** Sees to it that the addresses of the mesh lead into the tunnel, and nowhere else. */
export class RangeGuard {
  private readonly range: string;
  private readonly own: () => string | undefined;
  private checkedAt = Number.NEGATIVE_INFINITY;
  private found: string | undefined;

  /** `own`: name of our interface; undefined while there is none. */
  constructor(range: string, own: () => string | undefined) {
    this.range = range;
    this.own = own;
  }

  /** What shares addresses with the mesh, in a sentence; undefined: nothing does. */
  overlap(): string | undefined {
    if (performance.now() - this.checkedAt < FRESH_MS) return this.found;
    this.checkedAt = performance.now();
    const network = overlapping(this.range, this.own(), localNetworks());
    this.found = network && explainOverlap(this.range, network);
    return this.found;
  }

  assertFree(): void {
    const found = this.overlap();
    if (found !== undefined) throw new MeshRangeError(found);
  }
}
