/** What a node and the process between it and its harness say to each other. */

export interface CommandRequest {
  /** For /bin/sh. */
  readonly command: string;
  /** Null: the user that the node runs as. */
  readonly user: { readonly uid: number; readonly gid: number } | null;
  /** Of a run that is kept. */
  readonly keep?: KeepRequest;
}

export interface KeepRequest {
  /** Where its result goes. */
  readonly file: string;
  /** Of what is run. */
  readonly id: string;
  readonly timeoutMs: number;
  /** `started_at` of the run that stands in the file; null: none. After any other this one is not begun. */
  readonly after: number | null;
}

export interface CommandResult {
  /** Exit status; null if a signal ended it. */
  readonly status: number | null;
  readonly signal: string | null;
  /** The end of its standard output. */
  readonly output: string;
  /** Why it could not be started. */
  readonly error: string | null;
}
