import { spawn } from 'node:child_process';
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';

/** Of a family of programs that one npm script runs: `npm run prove -- NAME [OPTIONS]`. */
export interface Program {
  readonly file: string;
  /** What it shows, in a few words. */
  readonly shows: string;
  readonly nodeOptions?: readonly string[];
}

const EXIT_USAGE = 2;

/** Whether the first word asks what there is. */
export const isHelp = (word: string | undefined): boolean => word === '--help' || word === '-h';

/** A line for each program. */
export function listed(programs: Readonly<Record<string, Pick<Program, 'shows'>>>): string {
  const width = Math.max(...Object.keys(programs).map((one) => one.length));
  return Object.entries(programs)
    .map(([name, { shows }]) => `  ${name.padEnd(width)}  ${shows}`)
    .join('\n');
}

/** Runs the program that the command line names; without one, says which there are. */
export async function chooseProgram(
  command: string,
  programs: Readonly<Record<string, Program>>,
  [name, ...rest]: readonly string[],
): Promise<number> {
  const program = name === undefined ? undefined : programs[name];
  if (program !== undefined) return runProgram(program.file, rest, program.nodeOptions);
  const usage = `usage: ${command} NAME [OPTIONS], where NAME is one of\n${listed(programs)}`;
  if (isHelp(name)) {
    console.log(usage);
    return 0;
  }
  if (name !== undefined) console.error(`no such program: ${name}`);
  console.error(usage);
  return EXIT_USAGE;
}

/** Exit code of a TypeScript program in a process of its own; a signal counts as 1. */
export async function runProgram(
  file: string,
  args: readonly string[],
  nodeOptions: readonly string[] = [],
): Promise<number> {
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', ...nodeOptions, file, ...args],
    { stdio: 'inherit' },
  );
  // Ctrl-C goes to both; the program cleans up, and this one waits for it.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  child.once('error', reject);
  child.once('exit', (code) => resolve(code ?? 1));
  return promise;
}

/** What the command line says of a program's options; ends the program if it says anything else. */
export function programOptions<const Options extends ParseArgsOptionsConfig>(options: Options) {
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    console.error((error as Error).message);
    const shown = Object.entries(options).map(([name, { type, default: usual }]) => {
      const value = type === 'boolean' ? '' : ` ${usual === '' ? 'TEXT' : (usual ?? 'N')}`;
      return `[--${name}${value}]`;
    });
    console.error(`options: ${shown.join(' ')}`);
    process.exit(EXIT_USAGE);
  }
}
