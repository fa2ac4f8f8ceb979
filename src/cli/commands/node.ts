import { type Command, InvalidArgumentError, Option } from 'commander';
import { durationSeconds, hostAndPort, httpUrl, integerBetween } from '../numbers.ts';
import {
  admin,
  each,
  logging,
  nodeState,
  reader,
  readerOptions,
  scoreFrom,
  seconds,
  share,
} from './options.ts';

function ramp(text: string): { to: number; startS: number; lengthS: number } {
  const match = /^([\d.]+)@(\d+(?:\.\d+)?)\+(\d+(?:\.\d+)?)$/.exec(text);
  if (!match) throw new InvalidArgumentError('Expected MEAN@START+LENGTH, such as 0.4@30+10.');
  return { to: share(match[1]!), startS: Number(match[2]), lengthS: Number(match[3]) };
}

function statuses(text: string): number[] {
  return text.split(',').map(integerBetween(0, 255));
}

/** `meshnet node`, and what an administrator does with nodes. */
export function declareNode(program: Command): void {
  const node = program
    .command('node')
    .enablePositionalOptions()
    .description('be a node of the mesh; or with a subcommand: add, remove, list nodes')
    .option('--state <dir>', 'keys and memory of the node', nodeState)
    .addOption(
      new Option(
        '--controller <url>',
        'the controller (default: the last one, else http://127.0.0.1:8440)',
      )
        .env('MESHNET_CONTROLLER')
        .argParser(httpUrl),
    )
    .option('--name <node>', 'name to enrol as (default: this machine)')
    .addOption(
      new Option('--token <token>', 'join token, needed once').env('MESHNET_TOKEN').hideHelp(),
    )
    .option(
      '--token-file <file>',
      'join token (or MESHNET_TOKEN), needed once; a file that is empty holds none',
    )
    .option(
      '--backend <kind>',
      'auto, linux, userspace, or uapi:SOCKET of a foreign device',
      'auto',
    )
    .option('--interface <name>', 'name of the interface', 'mesh0')
    .option('--listen-port <port>', 'UDP port, 0 for any', integerBetween(0, 65_535), 0)
    .option('--advertise <address>', 'IP address that other members reach this node at')
    .option('--emit <seconds>', 'time between scores, [SUITE=]SECONDS (default: 10)', each)
    .option('--poll <seconds>', 'time between polls of the config', seconds, 10)
    .option('--probe <seconds>', 'time between rounds of echoes, to 32 nodes at most', seconds, 15)
    .option(
      '--score-command <command>',
      'measures, [SUITE=]COMMAND: last line of output is a score or JSON; can be repeated',
      each,
    )
    .option('--score-timeout <seconds>', 'for that, [SUITE=]SECONDS (default: 60)', each)
    .option(
      '--score-user <user>',
      'who runs it (default, where this is root: meshnet-score, else nobody)',
    )
    .option('--score-mean <score>', 'built-in source: mean of a normal distribution', share)
    .option('--score-deviation <score>', 'and its standard deviation', share, 0.02)
    .addOption(
      new Option('--score-ramp <ramp>', 'mean moves to MEAN, from START seconds on, over LENGTH')
        .argParser(ramp)
        .hideHelp(),
    )
    .option('--suite <name>', 'suite that the scores are of', 'alignment')
    .option(
      '--samples <count>',
      'items behind a score that does not tell (default: 1; with --score-mean 50)',
      integerBetween(1, 1e9),
    )
    .option('--ok-status <list>', 'exit statuses of the command that are results', statuses)
    .addOption(
      new Option('--hosts [file]', 'write members into a hosts file, as NODE.mesh').preset(
        '/etc/hosts',
      ),
    )
    .addOption(
      new Option('--dns [port]', 'answer for NODE.mesh at the tunnel address, by UDP')
        .argParser(integerBetween(1, 65_535))
        .preset('53'),
    )
    .option('--no-push', 'poll only, open no event stream')
    .addOption(
      new Option(
        '--witness <address>',
        "cosign the mesh's log for the controller, e.g. 192.0.2.2:8450",
      ).argParser(hostAndPort),
    )
    .addOption(
      new Option('--metrics <address>', 'serve metrics and status, e.g. 127.0.0.1:9586').argParser(
        hostAndPort,
      ),
    )
    .option('--stop-with-stdin', 'stop when standard input ends')
    .addOption(new Option('--json', 'as --log-format json').implies({ logFormat: 'json' }))
    .addHelpText(
      'after',
      `
The token comes in MESHNET_TOKEN or a file, so that it does not stand in the process list.
Without --score-from, --score-command and --score-mean no scores are sent from here.`,
    )
    .action(async (options) => {
      const { runNode } = await import('../meshnet-node.ts');
      await runNode(options);
    });
  logging(scoreFrom(node), 'debug');
  admin(
    node.command('add').argument('<name>').description('make a token for a new node of that name'),
  )
    .option('--ttl <time>', 'how long the token can be used', durationSeconds, 3600)
    .action(async (name, options) => {
      const { addNode } = await import('../meshnet-tokens.ts');
      await addNode(name, options);
    });
  admin(node.command('remove').argument('<name>').description('put a node out, at once')).action(
    async (name, options) => {
      const { removeNode } = await import('../meshnet-nodes.ts');
      await removeNode(name, options);
    },
  );
  reader(node.command('list').description('all enrolled nodes')).action(async (options) => {
    const { listNodes } = await import('../meshnet-nodes.ts');
    await listNodes(readerOptions(options));
  });
  admin(
    node
      .command('reset-sequence')
      .argument('<name>')
      .description("let a node's scores count from 1 again (it lost its memory)"),
  ).action(async (name, options) => {
    const { resetSequence } = await import('../meshnet-nodes.ts');
    await resetSequence(name, options);
  });
}
