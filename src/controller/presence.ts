/**
 * Which nodes have reached this controller with a signed request of their own, since it started. A
 * score proves no such thing: it may come by way of a proxy that spoils the requests for configs, and a
 * member that can have none is reached by nobody and keeps everybody waiting.
 */
export class Presence {
  private readonly heard = new Set<string>();

  /** A request of the node for its config or its stream was verified. */
  add(nodeId: string): void {
    this.heard.add(nodeId);
  }

  has(nodeId: string): boolean {
    return this.heard.has(nodeId);
  }

  forget(nodeId: string): void {
    this.heard.delete(nodeId);
  }
}
