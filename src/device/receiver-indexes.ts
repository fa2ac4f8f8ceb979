import type { RandomBytes } from '../crypto/provider.ts';
import { readU32 } from '../wire/message-type.ts';

/** Receiver indices: random, never two alike among the live ones (paper 5.4.2). */
export class ReceiverIndexes<T> {
  private readonly random: RandomBytes;
  private readonly entries = new Map<number, T>();

  constructor(random: RandomBytes) {
    this.random = random;
  }

  add(entry: T): number {
    for (;;) {
      const index = readU32(this.random(4), 0);
      if (this.entries.has(index)) continue;
      this.entries.set(index, entry);
      return index;
    }
  }

  get(index: number): T | undefined {
    return this.entries.get(index);
  }

  delete(index: number): void {
    this.entries.delete(index);
  }

  get size(): number {
    return this.entries.size;
  }
}
