import { accepted, type Checked, rejected } from './problems.ts';
import type { Schema } from './schema.ts';

/**
 * The number of what is said between controller and nodes. It grows by one in a release that says
 * anything new; GOVERNANCE.md lists what each number brought. Neighbours work together: each end says
 * its number, and the one that is ahead says what the other understands.
 */
export const PROTOCOL = 2;

/** Of who says no number: version 0.1 knew of none. */
export const FIRST_PROTOCOL = 1;

/**
 * In the query of every call of an agent. What is signed covers the query and always has, so the number
 * cannot be changed on the way, and a controller that knows of no numbers takes the call as it is.
 */
export const PROTOCOL_PARAMETER = 'protocol';

/** In every answer, the controller's own. Not signed: for people. A signed config repeats it. */
export const PROTOCOL_HEADER = 'meshnet-protocol';

const PROTOCOL_PATTERN = '^[1-9][0-9]{0,5}$';
const PROTOCOL_TEXT = new RegExp(PROTOCOL_PATTERN);

/** As a parameter. */
export const protocolParameterField = {
  type: 'string',
  pattern: PROTOCOL_PATTERN,
  description: 'the protocol number of the caller, from 1; once',
} as const satisfies Schema;

/** In a document. */
export const protocolField = {
  type: 'integer',
  minimum: FIRST_PROTOCOL,
  maximum: 999_999,
  description: 'a protocol number, from 1',
} as const satisfies Schema;

/**
 * What a controller speaks with the agent that sent this query (`?protocol=2`, or `?`): the smaller
 * number of the two. Refused if they are no neighbours.
 */
export function protocolSpoken(query: string, own = PROTOCOL): Checked<number> {
  const named = protocolNamed(query);
  return named.ok ? spokenWith(named.value ?? FIRST_PROTOCOL, own) : named;
}

/** The same for any call: people and monitors name no number, and then there is nothing to refuse. */
export function protocolAcceptable(query: string, own = PROTOCOL): Checked<undefined> {
  const named = protocolNamed(query);
  if (!named.ok) return named;
  if (named.value === undefined) return accepted(undefined);
  const spoken = spokenWith(named.value, own);
  return spoken.ok ? accepted(undefined) : spoken;
}

function protocolNamed(query: string): Checked<number | undefined> {
  const named = new URLSearchParams(query).getAll(PROTOCOL_PARAMETER);
  if (named.length === 0) return accepted(undefined);
  if (named.length === 1 && PROTOCOL_TEXT.test(named[0]!)) return accepted(Number(named[0]));
  const expected = protocolParameterField.description;
  return rejected('invalid_field', { field: PROTOCOL_PARAMETER, expected });
}

function spokenWith(theirs: number, own: number): Checked<number> {
  if (Math.abs(theirs - own) <= 1) return accepted(Math.min(theirs, own));
  const older = theirs > own ? 'controller' : 'node';
  return rejected('protocol_unsupported', {
    field: PROTOCOL_PARAMETER,
    expected: `a number from ${Math.max(FIRST_PROTOCOL, own - 1)} to ${own + 1}`,
    detail: `The caller speaks protocol ${theirs}, this controller ${own}. Upgrade the ${older} first.`,
  });
}
