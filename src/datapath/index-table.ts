import { NONE } from './memory.ts';

/**
 * Receiver index to keypair slot: open addressing with linear probing over flat arrays. A Map
 * would box every index above 2^30. Receiver indices are random, so their low bits are the hash.
 */
export class IndexTable {
  private readonly mask: number;
  private readonly indices: Uint32Array;
  private readonly slots: Int32Array;

  /** `capacity` is the largest number of entries. */
  constructor(capacity: number) {
    let size = 16;
    while (size < capacity * 2) size *= 2;
    this.mask = size - 1;
    this.indices = new Uint32Array(size);
    this.slots = new Int32Array(size).fill(NONE);
  }

  get(index: number): number {
    const { mask, indices, slots } = this;
    let at = index & mask;
    while (slots[at] !== NONE && indices[at] !== index) at = (at + 1) & mask;
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
    while (this.slots[at] !== NONE && this.indices[at] !== index) at = (at + 1) & this.mask;
    return at;
  }
}
