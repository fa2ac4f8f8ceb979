import { Command, CommanderError } from 'commander';
import { printable, printableJson } from '../contract/printable.ts';
import { version } from '../ground/version.ts';
import { declareAccess } from './commands/access.ts';
import { declareBugReport } from './commands/bugreport.ts';
import { declareContexts } from './commands/context.ts';
import { declareController } from './commands/controller.ts';
import { declareDemo } from './commands/demo.ts';
import { declareDoctor } from './commands/doctor.ts';
import { declareEpoch } from './commands/epoch.ts';
import { declareEvaluator } from './commands/evaluator.ts';
import { declareEvents } from './commands/events.ts';
import { declareHealth } from './commands/health.ts';
import { declareKeygen } from './commands/keygen.ts';
import { declareLeave } from './commands/leave.ts';
import { declareLog } from './commands/log.ts';
import { declareNode } from './commands/node.ts';
import { declarePing } from './commands/ping.ts';
import { declarePolicy } from './commands/policy.ts';
import { declareReplay } from './commands/replay.ts';
import { declareScore } from './commands/score.ts';
import { declareTokens } from './commands/token.ts';
import { CommandError, EXIT, EXIT_MEANINGS } from './exit-codes.ts';
import { end } from './standard-output.ts';

/** `meshnet`: parses the command line; each command's code is loaded only when it is used. */

const EXIT_CODES = [
  '',
  'Exit codes:',
  ...Object.entries(EXIT_MEANINGS).map(([code, meaning]) => `  ${code}  ${meaning}`),
].join('\n');

export function meshnetCommand(): Command {
  const program = new Command('meshnet')
    .description('A WireGuard mesh that cuts misbehaving members off by itself.')
    .version(version(), '--version')
    .showHelpAfterError('(meshnet help COMMAND tells the options)')
    .showSuggestionAfterError()
    .enablePositionalOptions() // `node` and `node list` both have --json
    .addHelpText('after', EXIT_CODES);

  declareController(program);
  declareNode(program);
  declareDemo(program);
  declareEpoch(program);
  declareEvents(program);
  declareLog(program);
  declareTokens(program);
  declareAccess(program);
  declareContexts(program);
  declarePolicy(program);
  declareReplay(program);
  declareScore(program);
  declareEvaluator(program);
  declareDoctor(program);
  declareBugReport(program);
  declareHealth(program);
  declarePing(program);
  declareLeave(program);
  declareKeygen(program);
  return program;
}

/** Runs a command line; returns the exit code. Everything for people goes to stderr. */
export async function main(parameters: readonly string[]): Promise<number> {
  const program = meshnetCommand();
  overrideExit(program);
  try {
    await program.parseAsync(parameters, { from: 'user' });
    return EXIT.ok;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    const wantsJson = parameters.includes('--json');
    const { code, message, exitCode } = describe(error);
    process.stderr.write(
      wantsJson
        ? `${printableJson(JSON.stringify({ error: { code, message } }))}\n`
        : `meshnet: ${printable(message)}\n`,
    );
    return exitCode;
  }
}

/** Throws instead of exiting, in all commands. */
function overrideExit(command: Command): void {
  command.exitOverride();
  for (const child of command.commands) overrideExit(child);
}

function describe(error: unknown): { code: string; message: string; exitCode: number } {
  if (error instanceof CommandError) return error;
  if (error instanceof Error && error.name === 'KeyFileError') {
    return { code: 'key_file', message: error.message, exitCode: EXIT.keys };
  }
  const message = error instanceof Error ? error.message : String(error);
  const withStack = process.env.MESHNET_DEBUG && error instanceof Error ? error.stack : undefined;
  return { code: 'failed', message: withStack ?? message, exitCode: EXIT.failed };
}

if (import.meta.main) {
  await end(await main(process.argv.slice(2)));
}
