/** When a node was last heard, controller's clock, ms, and the protocol that was spoken. */
interface Heard {
  readonly at: number;
  readonly protocol: number;
}

/**
 * Which nodes have reached this controller with a signed request of their own, since it started. A
 * score proves no such thing: it may come by way of a proxy that spoils the requests for configs, and a
 * member that can have none is reached by nobody and keeps everybody waiting.
 */
export class Presence {
  private readonly now: () => number;
  private readonly heard = new Map<string, Heard>();

  /** `now`: controller's clock, ms. */
  constructor(now: () => number) {
    this.now = now;
  }

  /** A request of the node for its config, its lease or its stream was verified. */
  add(nodeId: string, protocol: number): void {
    this.heard.set(nodeId, { at: this.now(), protocol });
  }

  /** What was spoken with the node last; undefined if it was not heard since the start. */
  protocolOf(nodeId: string): number | undefined {
    return this.heard.get(nodeId)?.protocol;
  }

  /** When the node was heard last; undefined if it was not since the start. */
  heardAt(nodeId: string): number | undefined {
    return this.heard.get(nodeId)?.at;
  }

  has(nodeId: string): boolean {
    return this.heard.has(nodeId);
  }

  forget(nodeId: string): void {
    this.heard.delete(nodeId);
  }
}
