/** Small integers that name places in the data path's tables; handed out lowest-used-first. */
export class Slots {
  private readonly capacity: number;
  private readonly free: number[] = [];
  private next = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  /** Undefined when all are taken. */
  take(): number | undefined {
    return this.free.pop() ?? (this.next < this.capacity ? this.next++ : undefined);
  }

  /** Only after the data path has acknowledged that it no longer uses it. */
  release(slot: number): void {
    this.free.push(slot);
  }

  get available(): number {
    return this.free.length + this.capacity - this.next;
  }
}
