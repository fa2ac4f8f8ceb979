/**
 * Receiver index to keypair slot: open addressing with linear probing over flat arrays, where a Map
 * would box large indices. An index counts as 32 bits, signed or not (signed ones are never boxed).
 * Receiver indices are random, so their low bits are the hash. An empty place is 0, so that room which is
 * not used is memory that is not touched.
 */
export class KeypairLookup {
  private readonly mask: number;
  private readonly indices: Int32Array;
  /** 1 + the slot; 0 for none. */
  private readonly slots: Int32Array;

  /** `capacity` is the largest number of entries. */
  constructor(capacity: number) {
    let size = 16;
    while (size < capacity * 2) size *= 2;
    this.mask = size - 1;
    this.indices = new Int32Array(size);
    this.slots = new Int32Array(size);
  }

  /** -1 if there is none. */
  get(index: number): number {
    const { mask, indices, slots } = this;
    const wanted = index | 0;
    let at = wanted & mask;
    while (slots[at] !== 0 && indices[at] !== wanted) at = (at + 1) & mask;
    return slots[at]! - 1;
  }

  set(index: number, slot: number): void {
    const at = this.find(index);
    this.indices[at] = index;
    this.slots[at] = slot + 1;
  }

  delete(index: number): void {
    const { mask, indices, slots } = this;
    let hole = this.find(index);
    if (slots[hole] === 0) return;
    // Entries behind the hole move up unless that would put them before their own place.
    for (let at = (hole + 1) & mask; slots[at] !== 0; at = (at + 1) & mask) {
      const distance = (at - (indices[at]! & mask)) & mask;
      if (distance < ((at - hole) & mask)) continue;
      indices[hole] = indices[at]!;
      slots[hole] = slots[at]!;
      hole = at;
    }
    slots[hole] = 0;
  }

  private find(index: number): number {
    let at = index & this.mask;
    while (this.slots[at] !== 0 && this.indices[at] !== (index | 0)) at = (at + 1) & this.mask;
    return at;
  }
}
