import { accepted, type Checked, type ProblemCode, rejected } from '../../contract/problems.ts';
import type { Services } from '../services.ts';

/** Refusals that came after a signature had been verified, or a token's secret been asked for. */
const COSTLY: ReadonlySet<ProblemCode> = new Set<ProblemCode>([
  'signature_invalid',
  'envelope_signature',
  'signer_not_accepted',
  'key_record_invalid',
  'token_unknown',
  'token_invalid',
  'access_token_invalid',
]);

/** What is to be verified, and at whose expense. */
export interface Account {
  /** Address that it came from. */
  readonly from: string;
  /** Whose signature it says it bears, if it says so. */
  readonly keyid?: string | undefined;
}

/** Refuses, unread, what comes from where too much did not verify. */
export function withinBudget({ budget }: Services, { from, keyid }: Account): Checked<null> {
  if (!budget.isSpent(from, keyid)) return accepted(null);
  return rejected('too_many_requests', { detail: 'Too much from this address did not verify.' });
}

/** Has the address pay for what did not verify, and the key gain from what did. */
export function settle<T>(
  { budget }: Services,
  { from, keyid }: Account,
  outcome: Checked<T>,
): Checked<T> {
  if (!outcome.ok && COSTLY.has(outcome.problem.code)) budget.charge(from, keyid);
  else if (outcome.ok && keyid !== undefined) budget.vouch(from, keyid);
  return outcome;
}

/** The key that an envelope, unchecked, says it is signed by. */
export function signerNamed(envelope: unknown): string | undefined {
  const { signatures } = (envelope ?? {}) as { signatures?: unknown };
  const [first] = Array.isArray(signatures) ? (signatures as { keyid?: unknown }[]) : [];
  return typeof first?.keyid === 'string' ? first.keyid : undefined;
}
