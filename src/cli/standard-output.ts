import { endProcess } from '../ground/end.ts';
import { Output, type OutputOptions } from '../ground/output.ts';

/**
 * Standard output and error of programs that run for long: whoever does not read them holds up nothing.
 * (What a short command prints goes to `process.stdout`, all of it.)
 */
const made = new Map<1 | 2, Output>();

export function standardOutput(options?: OutputOptions): Output {
  return outputOn(1, options);
}

export function standardError(): Output {
  return outputOn(2);
}

/** Ends the program, at most some moments after its last line. */
export function end(code: number): Promise<never> {
  return endProcess(code, [...made.values()]);
}

function outputOn(fd: 1 | 2, options?: OutputOptions): Output {
  const output = made.get(fd) ?? new Output(fd, options);
  made.set(fd, output);
  return output;
}
