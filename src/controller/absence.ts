/** The controller was away, and members that could not report meanwhile are waited for. Times: its clock, ms. */
export class Absence {
  readonly since: number;
  /** Longest that anybody is waited for. */
  readonly until: number;
  private readonly members: Set<string>;

  constructor(members: Iterable<string>, since: number, until: number) {
    this.members = new Set(members);
    this.since = since;
    this.until = until;
  }

  awaits(nodeId: string): boolean {
    return this.members.has(nodeId);
  }

  /** It reported, or is none any more. */
  endsFor(nodeId: string): void {
    this.members.delete(nodeId);
  }

  /** Nobody is waited for any more. */
  get isComplete(): boolean {
    return this.members.size === 0;
  }

  isOver(now: number): boolean {
    return this.isComplete || now >= this.until;
  }
}
