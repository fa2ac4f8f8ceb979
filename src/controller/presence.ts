/**
 * Which nodes have reached this controller with a signed request of their own, since it started. A
 * score proves no such thing: it may come by way of a proxy that spoils the requests for configs, and a
 * member that can have none is reached by nobody and keeps everybody waiting.
 */
export class Presence {
  /** The protocol that was spoken last, by node. */
  private readonly heard = new Map<string, number>();

  /** A request of the node for its config, its lease or its stream was verified. */
  add(nodeId: string, protocol: number): void {
    this.heard.set(nodeId, protocol);
  }

  /** What was spoken with the node last; undefined if it was not heard since the start. */
  protocolOf(nodeId: string): number | undefined {
    return this.heard.get(nodeId);
  }

  has(nodeId: string): boolean {
    return this.heard.has(nodeId);
  }

  forget(nodeId: string): void {
    this.heard.delete(nodeId);
  }
}
