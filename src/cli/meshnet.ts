import { homedir } from 'node:os';
import { join } from 'node:path';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { CommandError, EXIT } from './exit-codes.ts';
import { durationSeconds, hostAndPort, integerBetween, numberBetween } from './numbers.ts';

/** `meshnet`: parses the command line; each command's code is loaded only when it is used. */

const EXIT_CODES = `
Exit codes:
  0 done   1 failed   2 wrong command line   3 controller or socket not reachable
  4 refused by the controller   5 key file missing or not private   6 not possible on this system`;

const root = process.geteuid?.() === 0;
const stateRoot = root ? '/var/lib/meshnet' : join(homedir(), '.local', 'state', 'meshnet');
const controllerState = process.env.MESHNET_CONTROLLER_STATE ?? join(stateRoot, 'controller');
const nodeState = process.env.MESHNET_NODE_STATE ?? join(stateRoot, 'node');
const seconds = numberBetween(0.1, 86_400);
const share = numberBetween(0, 1);

function ramp(text: string): { to: number; startS: number; lengthS: number } {
  const match = /^([\d.]+)@(\d+(?:\.\d+)?)\+(\d+(?:\.\d+)?)$/.exec(text);
  if (!match) throw new InvalidArgumentError('Expected MEAN@START+LENGTH, such as 0.4@30+10.');
  return { to: share(match[1]!), startS: Number(match[2]), lengthS: Number(match[3]) };
}

const json = () => new Option('--json', 'print JSON');

/** Options of every command that asks the controller. */
function admin(command: Command): Command {
  return command
    .addOption(
      new Option('--socket <path>', "the controller's admin socket")
        .env('MESHNET_SOCKET')
        .default(join(controllerState, 'admin.sock')),
    )
    .addOption(json());
}

/** The same, for what can also be read over the network. */
function reader(command: Command): Command {
  const url = new Option('--url <url>', 'ask over the network instead of the socket');
  return admin(command).addOption(url.env('MESHNET_CONTROLLER'));
}

export function meshnetCommand(): Command {
  const program = new Command('meshnet')
    .description('A WireGuard mesh that cuts misbehaving members off by itself.')
    .version('0.1.0', '--version')
    .showHelpAfterError('(meshnet help COMMAND tells the options)')
    .showSuggestionAfterError()
    .enablePositionalOptions() // `node` and `node list` both have --json
    .addHelpText('after', EXIT_CODES);

  program
    .command('controller')
    .description('decide every epoch who may stay, and hand out the keys')
    .option('--state <dir>', 'database, key and admin socket', controllerState)
    .addOption(
      new Option('--listen <address>', 'where nodes reach it')
        .argParser(hostAndPort)
        .default({ host: '127.0.0.1', port: 8440 }, '127.0.0.1:8440'),
    )
    .option('--policy <file>', 'JSON file with thresholds, suites, signers and times')
    .option('--epoch <seconds>', 'length of an epoch', seconds)
    .option('--threshold <score>', 'lowest score of a member', share)
    .option('--freshness <seconds>', 'oldest score of a member', seconds)
    .option('--tunnel-prefix <prefix>', 'addresses inside the mesh, IPv4')
    .option('--observe-only', 'compute and show verdicts, cut nobody: how to start in production')
    .option('--restored', 'the database is a backup: let epoch and version jump ahead')
    .option('--stop-with-stdin', 'stop when standard input ends')
    .action(async (options) => {
      const { runController } = await import('./meshnet-controller.ts');
      await runController(options);
    });

  const node = program
    .command('node')
    .enablePositionalOptions()
    .description('be a node of the mesh; or with a subcommand: add, remove, list nodes')
    .option('--state <dir>', 'keys and memory of the node', nodeState)
    .addOption(
      new Option('--controller <url>', 'the controller')
        .env('MESHNET_CONTROLLER')
        .default('http://127.0.0.1:8440'),
    )
    .option('--name <node>', 'name to enrol as (default: this machine)')
    .addOption(
      new Option('--token <token>', 'join token, needed once').env('MESHNET_TOKEN').hideHelp(),
    )
    .option(
      '--backend <kind>',
      'auto, linux, userspace, or uapi:SOCKET of a foreign device',
      'auto',
    )
    .option('--interface <name>', 'name of the interface', 'mesh0')
    .option('--listen-port <port>', 'UDP port, 0 for any', integerBetween(0, 65_535), 0)
    .option('--advertise <address>', 'IP address that other members reach this node at')
    .option('--emit <seconds>', 'time between scores', seconds, 10)
    .option('--poll <seconds>', 'time between polls of the config', seconds, 10)
    .option('--probe <seconds>', 'time between echoes to all nodes', seconds, 15)
    .option('--score-command <command>', 'measures: last line of output is a score or JSON')
    .option('--score-timeout <seconds>', 'for that command', seconds, 60)
    .option('--score-mean <score>', 'built-in source: mean of a normal distribution', share)
    .option('--score-deviation <score>', 'and its standard deviation', share, 0.02)
    .addOption(
      new Option('--score-ramp <ramp>', 'mean moves to MEAN, from START seconds on, over LENGTH')
        .argParser(ramp)
        .hideHelp(),
    )
    .option('--suite <name>', 'suite that the scores are of', 'alignment')
    .option('--samples <count>', 'samples behind a score', integerBetween(1, 1e9), 50)
    .option('--no-push', 'poll only, open no event stream')
    .addOption(
      new Option('--metrics <address>', 'serve metrics and status, e.g. 127.0.0.1:9586').argParser(
        hostAndPort,
      ),
    )
    .option('--stop-with-stdin', 'stop when standard input ends')
    .addOption(new Option('--json', 'one JSON event per line'))
    .addHelpText(
      'after',
      `
The token comes in MESHNET_TOKEN, so that it does not stand in the process list.
Without --score-command and --score-mean no scores are sent from here.`,
    )
    .action(async (options) => {
      const { runNode } = await import('./meshnet-node.ts');
      await runNode(options);
    });
  admin(
    node.command('add').argument('<name>').description('make a token for a new node of that name'),
  )
    .option('--ttl <time>', 'how long the token can be used', durationSeconds, 3600)
    .action(async (name, options) => {
      const { addNode } = await import('./meshnet-admin.ts');
      await addNode(name, options);
    });
  admin(node.command('remove').argument('<name>').description('put a node out, at once')).action(
    async (name, options) => {
      const { removeNode } = await import('./meshnet-admin.ts');
      await removeNode(name, options);
    },
  );
  reader(node.command('list').description('all enrolled nodes')).action(async (options) => {
    const { listNodes } = await import('./meshnet-admin.ts');
    await listNodes(options);
  });
  admin(
    node
      .command('reset-sequence')
      .argument('<name>')
      .description("let a node's scores count from 1 again (it lost its memory)"),
  ).action(async (name, options) => {
    const { resetSequence } = await import('./meshnet-admin.ts');
    await resetSequence(name, options);
  });

  program
    .command('demo')
    .description('a controller and three nodes on this machine: two behave, one is shut out')
    .option(
      '--epoch <seconds>',
      'length of an epoch; production uses 60',
      numberBetween(2, 3600),
      10,
    )
    .option('--duration <seconds>', 'stop by itself', numberBetween(1, 86_400))
    .addOption(
      new Option('--scenario <name>', 'what happens')
        .choices(['steady', 'decay', 'recover'])
        .default('steady'),
    )
    .option('--userspace', 'no interfaces, no root: everything inside the processes')
    .addOption(new Option('--json', 'one JSON event per line, the last one a summary'))
    .action(async (options) => {
      const { runDemo } = await import('./meshnet-demo.ts');
      await runDemo(options);
    });

  reader(program.command('status').description('one line per node'))
    .option('--state <dir>', 'of the node on this machine, for handshakes and paths', nodeState)
    .action(async (options) => {
      const { status } = await import('./meshnet-admin.ts');
      await status(options);
    });
  reader(
    program.command('why').argument('<node>').description('why a node is in or out, with numbers'),
  ).action(async (name, options) => {
    const { why } = await import('./meshnet-admin.ts');
    await why(name, options);
  });
  reader(program.command('epoch').description('the present epoch')).action(async (options) => {
    const { epoch } = await import('./meshnet-admin.ts');
    await epoch(options);
  });
  admin(program.command('rotate').description('begin a new epoch now')).action(async (options) => {
    const { rotate } = await import('./meshnet-admin.ts');
    await rotate(options);
  });

  const token = program.command('token').description('join tokens');
  admin(token.command('create').description('make a join token; it is shown this once'))
    .option('--node <name>', 'for this node only')
    .option('--ttl <time>', 'how long it can be used', durationSeconds, 3600)
    .action(async (options) => {
      const { createToken } = await import('./meshnet-admin.ts');
      await createToken(options);
    });
  admin(token.command('list').description('tokens that can still be used')).action(
    async (options) => {
      const { listTokens } = await import('./meshnet-admin.ts');
      await listTokens(options);
    },
  );

  program
    .command('score')
    .argument('<node>')
    .argument('<score>', 'from 0 to 1', share)
    .description("report a node's score as an evaluator that the policy lists")
    .requiredOption('--key <file>', "the evaluator's signing key; made if it is not there")
    .option('--mesh <id>', 'mesh id')
    .addOption(
      new Option('--controller <url>', 'the controller')
        .env('MESHNET_CONTROLLER')
        .default('http://127.0.0.1:8440'),
    )
    .option('--suite <name>', 'suite that the score is of', 'alignment')
    .option('--samples <count>', 'samples behind the score', integerBetween(1, 1e9), 50)
    .addOption(json())
    .action(async (name, value, options) => {
      const { score } = await import('./meshnet-score.ts');
      await score(name, value, options);
    });

  program
    .command('keygen')
    .description("make a node's keys, if it has none, and show the public ones")
    .option('--state <dir>', 'keys and memory of the node', nodeState)
    .addOption(json())
    .action(async (options) => {
      const { keygen } = await import('./meshnet-admin.ts');
      keygen(options);
    });
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
      wantsJson ? `${JSON.stringify({ error: { code, message } })}\n` : `meshnet: ${message}\n`,
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
  process.exitCode = await main(process.argv.slice(2));
}
