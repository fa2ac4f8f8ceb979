const NEVER = Number.POSITIVE_INFINITY;

interface Entry<T> {
  readonly item: T;
  at: number;
  /** Where it is in the heap. */
  place: number;
}

/** Which of many things is due next: a binary heap in which each item has one time. */
export class Deadlines<T> {
  private readonly heap: Entry<T>[] = [];
  private readonly entries = new Map<T, Entry<T>>();

  /** When the first one is due, Infinity if there is none. */
  get next(): number {
    return this.heap[0]?.at ?? NEVER;
  }

  /** Infinity: never. */
  set(item: T, at: number): void {
    const present = this.entries.get(item);
    if (present?.at === at) return;
    if (at === NEVER) {
      this.delete(item);
      return;
    }
    const entry = present ?? { item, at, place: this.heap.length };
    entry.at = at;
    if (present === undefined) {
      this.heap.push(entry);
      this.entries.set(item, entry);
    }
    this.down(this.up(entry));
  }

  delete(item: T): void {
    const entry = this.entries.get(item);
    if (entry === undefined) return;
    this.entries.delete(item);
    const last = this.heap.pop()!;
    if (last === entry) return;
    this.put(last, entry.place);
    this.down(this.up(last));
  }

  clear(): void {
    this.heap.length = 0;
    this.entries.clear();
  }

  /** Takes out what is due at `now`, the earliest first. */
  takeDue(now: number): T[] {
    const due: T[] = [];
    for (let first = this.heap[0]; first !== undefined && first.at <= now; first = this.heap[0]) {
      this.delete(first.item);
      due.push(first.item);
    }
    return due;
  }

  private put(entry: Entry<T>, place: number): void {
    entry.place = place;
    this.heap[place] = entry;
  }

  private up(entry: Entry<T>): Entry<T> {
    while (entry.place > 0) {
      const parent = this.heap[(entry.place - 1) >> 1]!;
      if (parent.at <= entry.at) break;
      const place = parent.place;
      this.put(parent, entry.place);
      this.put(entry, place);
    }
    return entry;
  }

  private down(entry: Entry<T>): void {
    for (;;) {
      const left = this.heap[2 * entry.place + 1];
      const right = this.heap[2 * entry.place + 2];
      const child = right !== undefined && right.at < left!.at ? right : left;
      if (child === undefined || child.at >= entry.at) return;
      const place = child.place;
      this.put(child, entry.place);
      this.put(entry, place);
    }
  }
}
