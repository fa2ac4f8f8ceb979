/** Where the parts of a demo run. */
export interface Place {
  readonly mode: 'linux' | 'userspace';
  /** Makes a command run in the controller's or in a node's place. */
  wrap(part: string, command: readonly string[]): [string, ...string[]];
  /** Where the controller listens, and how nodes reach it. */
  readonly controllerListen: string;
  readonly controllerUrl: string;
  /** Address that the other nodes reach this one's UDP socket at. */
  address(nodeId: string): string;
  readonly listenPort: number;
  /** How people can look around. */
  readonly hints: readonly string[];
  /** Frees everything; the parts have ended before. */
  remove(): Promise<void>;
}
