import { type Command, Option } from 'commander';
import { GAMING } from '../../replay/simulation.ts';
import { integerBetween, numberBetween } from '../numbers.ts';
import { admin, LOG_WHERE, seconds, share } from './options.ts';

const count = integerBetween(0, 100_000);
const epochs = integerBetween(1, 1_000_000);

/** Where scores are from: one of these. */
function source(flags: string, description: string): Option {
  const option = new Option(flags, description);
  const others = ['simulate', 'from', 'state', 'log'].filter((one) => one !== option.name());
  return option.conflicts(others);
}

/** What a spec says of each population for itself. */
function ofOnePopulation(flags: string, description: string): Option {
  return new Option(flags, description).conflicts('spec');
}

/** `meshnet replay`. */
export function declareReplay(program: Command): void {
  const command = program
    .command('replay')
    .description('try a policy on recorded or simulated scores, beside another one')
    .option('--policy <policy>', 'to try: a file, or `default` or `plain`', 'default')
    .option('--against <policy>', 'to compare with', 'plain')
    .addOption(source('--simulate', 'simulated scores: the default; the options below say of whom'))
    .addOption(source('--from <file>', 'recorded scores, JSONL: node_id, score, received_at, ...'))
    .addOption(source('--state <dir>', 'recorded scores of a controller that is stopped'))
    .addOption(source('--log [where]', `the scores in a log: ${LOG_WHERE}`))
    .option('--mesh <id>', 'mesh id; needed with a directory or URL of a log')
    .option('--epoch <seconds>', 'length of an epoch', seconds, 60)
    .option('--days <days>', 'simulate for so long', numberBetween(0.001, 3650), 1)
    .option('--seed <number>', 'of the simulation', integerBetween(0, 2 ** 31), 1)
    .addOption(
      new Option(
        '--spec <file>',
        'JSON: populations of nodes, each with its own of the following',
      ).conflicts(['from', 'state', 'log']),
    )
    .addOption(
      ofOnePopulation('--nodes <count>', 'simulate so many')
        .argParser(integerBetween(1, 10_000))
        .default(100),
    )
    .option('--mean <score>', 'quality of a good node', share, 0.85)
    .option('--deviation <share>', 'of one report', share, 0.05)
    .option('--items <count>', 'a report is the share of right answers among so many', count, 0)
    .option('--interval <seconds>', 'between two reports; default: a sixth of an epoch', seconds)
    .addOption(
      ofOnePopulation('--bad <count>', 'nodes that turn bad now and then')
        .argParser(count)
        .default(5),
    )
    .addOption(
      ofOnePopulation('--bad-mean <score>', 'their quality then').argParser(share).default(0.5),
    )
    .option('--bad-epochs <count>', 'for so long', epochs, 60)
    .option('--bad-every <count>', 'epochs in between', epochs, 200)
    .option('--decay <share>', 'loss of quality in an epoch, of all', share, 0)
    .option('--swing <share>', 'how far quality swings', share, 0)
    .option('--swing-epochs <count>', 'once in so many epochs', epochs, 60)
    .option('--loss <share>', 'of reports that do not arrive', share, 0)
    .option('--bias <share>', 'what all reports are off by at times', numberBetween(-1, 1), 0)
    .option('--bias-every <count>', 'in one of so many epochs', epochs, 500)
    .addOption(
      new Option('--gaming <how>', 'what bad nodes report').choices(GAMING).default('none'),
    )
    .option('--table', 'run lengths of the rules by formula: nothing is simulated')
    .option('--plot <file>', 'scores and membership as SVG')
    .option('--curve <file>', 'false cuts against delay over thresholds as SVG')
    .option(
      '--fail-above <count>',
      'exit code 1 above so many false cuts a day',
      numberBetween(0, 1e9),
    );
  admin(command).action(async (options) => {
    const { replay } = await import('../meshnet-replay.ts');
    await replay(options);
  });
}
