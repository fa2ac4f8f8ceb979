import {
  accepted,
  type Checked,
  type Problem,
  type ProblemCode,
  type ProblemDetails,
  problem,
} from '../contract/problems.ts';

/** Carries a problem document to the server's error handler. */
export class ProblemError extends Error {
  readonly problem: Problem;

  constructor(cause: Problem) {
    super(cause.detail === undefined ? cause.code : `${cause.code}: ${cause.detail}`);
    this.name = 'ProblemError';
    this.problem = cause;
  }
}

export function refuse(code: ProblemCode, details?: ProblemDetails): never {
  throw new ProblemError(problem(code, details));
}

/** The value, or the problem thrown to the error handler. */
export function orRefuse<T>(checked: Checked<T>): T {
  if (!checked.ok) throw new ProblemError(checked.problem);
  return checked.value;
}

/** What `work` gives, or the problem that it throws. */
export async function checked<T>(work: () => Promise<T>): Promise<Checked<T>> {
  try {
    return accepted(await work());
  } catch (error) {
    if (error instanceof ProblemError) return { ok: false, problem: error.problem };
    throw error;
  }
}
