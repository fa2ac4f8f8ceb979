/** Exit codes of `meshnet`. */
export const EXIT = {
  ok: 0,
  /** Something failed that is not below. */
  failed: 1,
  /** Wrong command line. */
  usage: 2,
  /** Nothing answers at the address or socket. */
  unreachable: 3,
  /** The controller answered no: its problem code is printed. */
  refused: 4,
  /** A key file is missing, readable by others, or malformed. */
  keys: 5,
  /** Needs rights, a device or a system that is not there. */
  unsupported: 6,
  /** The brake keeps members in that judgement would cut. */
  braked: 7,
  /** The doctor found a problem. */
  ill: 8,
} as const;

/** What they mean, as help and manual say it. */
export const EXIT_MEANINGS: Readonly<Record<number, string>> = {
  [EXIT.ok]: 'done',
  [EXIT.failed]: 'failed',
  [EXIT.usage]: 'wrong command line',
  [EXIT.unreachable]: 'controller or socket not reachable',
  [EXIT.refused]: 'refused by the controller',
  [EXIT.keys]: 'key file missing or not private',
  [EXIT.unsupported]: 'not possible on this system',
  [EXIT.braked]: 'status: the brake keeps members in that would be cut',
  [EXIT.ill]: 'doctor: a problem was found',
};

/** Ends the command with a message and a code; anything else that is thrown is a bug. */
export class CommandError extends Error {
  readonly exitCode: number;
  /** Stable code for `--json`. */
  readonly code: string;

  constructor(exitCode: number, code: string, message: string) {
    super(message);
    this.name = 'CommandError';
    this.exitCode = exitCode;
    this.code = code;
  }
}
