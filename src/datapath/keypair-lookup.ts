import { NONE } from './memory.ts';

/**
 * Receiver index to keypair slot: open addressing with linear probing over flat arrays, where a Map
 * would box large indices. An index counts as 32 bits, signed or not (signed ones are never boxed).
 * Receiver indices are random, so their low bits are the hash.
 */
export class KeypairLookup {
  private readonly mask: number;
  private readonly indices: Int32Array;
  private readonly slots: Int32Array;

  /** `capacity` is the largest number of entries. */
  constructor(capacity: number) {
    let size = 16;
    while (size < capacity * 2) size *= 2;
    this.mask = size - 1;
    this.indices = new Int32Array(size);
    this.slots = new Int32Array(size).fill(NONE);
  }

  get(index: number): number {
    const { mask, indices, slots } = this;
    const wanted = index | 0;
    let at = wanted & mask;
    while (slots[at] !== NONE && indices[at] !== wanted) at = (at + 1) & mask;
    return slots[at]!;
  }

  set(index: number, slot: number): void {
    const at = this.find(index);
    this.indices[at] = index;
    this.slots[at] = slot;
  }

  delete(index: number): void {
    const { mask, indices, slots } = this;
    let hole = this.find(index);
    if (slots[hole] === NONE) return;
    // Entries behind the hole move up unless that would put them before their own place.
    for (let at = (hole + 1) & mask; slots[at] !== NONE; at = (at + 1) & mask) {
      const distance = (at - (indices[at]! & mask)) & mask;
      if (distance < ((at - hole) & mask)) continue;
      indices[hole] = indices[at]!;
      slots[hole] = slots[at]!;
      hole = at;
    }
    slots[hole] = NONE;
  }

  private find(index: number): number {
    let at = index & this.mask;
    while (this.slots[at] !== NONE && this.indices[at] !== (index | 0)) at = (at + 1) & this.mask;
    return at;
  }
}
