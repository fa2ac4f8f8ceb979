import { homedir } from 'node:os';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { CommandError, EXIT } from '../exit-codes.ts';
import { LOG_FORMATS, LOG_LEVELS, type LogLevel } from '../log-lines.ts';
import { httpUrl, integerBetween, numberBetween } from '../numbers.ts';
import type { EpochSource } from '../read-epoch.ts';

/** Options that several commands share. */

const SYSTEM_STATE = '/var/lib/meshnet';

/** Where state lies by default. A user without a home gets the system's place, and must be let in. */
function defaultStateRoot(): string {
  if (process.geteuid?.() === 0) return SYSTEM_STATE;
  try {
    return join(homedir(), '.local', 'state', 'meshnet');
  } catch {
    return SYSTEM_STATE; // uv_os_homedir: neither HOME nor an entry in the user database
  }
}

const stateRoot = defaultStateRoot();
export const controllerState =
  process.env.MESHNET_CONTROLLER_STATE ?? join(stateRoot, 'controller');
export const nodeState = process.env.MESHNET_NODE_STATE ?? join(stateRoot, 'node');
export const seconds = numberBetween(0.1, 86_400);
export const epochNumber = integerBetween(1, Number.MAX_SAFE_INTEGER);
export const share = numberBetween(0, 1);

export const each = (value: string, before: readonly string[] = []) => [...before, value];

/** Options of programs that run for long. */
export function logging(command: Command, usualLevel: LogLevel): Command {
  return command
    .addOption(
      new Option('--log-format <format>', 'auto: text on a terminal, JSON elsewhere')
        .choices(LOG_FORMATS)
        .default('auto'),
    )
    .addOption(
      new Option('--log-level <level>', 'least level that is written')
        .choices(LOG_LEVELS)
        .default(usualLevel),
    );
}

/** Options about results that a harness left. */
export function scoreFrom(command: Command): Command {
  return command
    .option(
      '--score-from <where>',
      'results of a harness, [SUITE=]KIND:PLACE[#WHAT]; can be repeated',
      each,
    )
    .option('--map <range>', 'values that mean 0 and 1, [SUITE=]WORST..BEST', each)
    .option('--min-done <share>', 'least share of a run that was scored', share, 0.9);
}

/** Options of commands that report as an evaluator that the policy lists. */
export function evaluatorKey(command: Command): Command {
  return command
    .requiredOption('--key <file>', "the evaluator's signing key; made if it is not there")
    .option('--mesh <id>', 'mesh id')
    .addOption(
      new Option('--controller <url>', 'the controller')
        .env('MESHNET_CONTROLLER')
        .argParser(httpUrl)
        .default('http://127.0.0.1:8440'),
    );
}

/** The argument of commands that read a log. */
export const LOG_WHERE = 'a directory or URL of the log; default: the controller of this machine';

export const json = () => new Option('--json', 'print JSON');

const defaultSocket = join(controllerState, 'admin.sock');
const socket = () =>
  new Option('--socket <path>', "the controller's admin socket").env('MESHNET_SOCKET');

const context = () =>
  new Option(
    '--context <name>',
    'ask the controller of this context over the network (meshnet context)',
  ).env('MESHNET_CONTEXT');

/** What is said on the command line goes before the environment. */
function socketBeforeEnvironment(_: Command, command: Command): void {
  const isSaid = command.getOptionValueSource('socket') === 'cli';
  if (!isSaid || command.getOptionValueSource('context') !== 'env') return;
  command.setOptionValue('context', undefined);
}

/** Options of every command that asks the controller. */
export function admin(command: Command): Command {
  return command
    .hook('preAction', socketBeforeEnvironment)
    .addOption(socket().default(defaultSocket))
    .addOption(context())
    .addOption(json());
}

/** Options of commands that read the epoch: from the socket, or over the network as a member. */
export function reader(command: Command): Command {
  return command
    .hook('preAction', socketBeforeEnvironment)
    .addOption(socket())
    .addOption(context())
    .option(
      '--url <url>',
      'ask over the network instead; default where there is no such socket',
      httpUrl,
    )
    .option(
      '--state <dir>',
      'of the node on this machine, which signs and knows its paths',
      nodeState,
    )
    .addOption(json());
}

function controllerFromEnvironment(): string | undefined {
  const url = process.env.MESHNET_CONTROLLER;
  if (!url) return undefined;
  try {
    return httpUrl(url);
  } catch (error) {
    const message = `MESHNET_CONTROLLER=${url}: ${(error as Error).message}`;
    throw new CommandError(EXIT.usage, 'usage', message);
  }
}

/** What `reader` commands are called with. */
export type ReaderOptions = EpochSource & { readonly json?: boolean };

export function readerOptions(
  options: Omit<ReaderOptions, 'defaultSocket' | 'controller'>,
): ReaderOptions {
  return { ...options, defaultSocket, controller: controllerFromEnvironment() };
}
