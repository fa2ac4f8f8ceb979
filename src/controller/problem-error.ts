import {
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
    super(cause.code);
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
