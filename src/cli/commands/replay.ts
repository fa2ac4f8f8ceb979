import { type Command, Option } from 'commander';
import { integerBetween, numberBetween } from '../numbers.ts';
import { json, seconds, share } from './options.ts';

const count = integerBetween(0, 100_000);
const epochs = integerBetween(1, 1_000_000);

/** `meshnet replay`. */
export function declareReplay(program: Command): void {
  program
    .command('replay')
    .description('try a policy on recorded or simulated scores, beside another one')
    .option('--policy <policy>', 'to try: a file, or `default` or `plain`', 'default')
    .option('--against <policy>', 'to compare with', 'plain')
    .option('--from <file>', 'recorded scores, JSONL: node_id, score, received_at, ...')
    .option('--state <dir>', 'recorded scores of a controller that is stopped')
    .option('--epoch <seconds>', 'length of an epoch', seconds, 60)
    .option('--nodes <count>', 'simulate so many', integerBetween(1, 10_000), 100)
    .option('--days <days>', 'for so long', numberBetween(0.001, 3650), 1)
    .option('--seed <number>', 'of the simulation', integerBetween(0, 2 ** 31), 1)
    .option('--mean <score>', 'quality of a good node', share, 0.85)
    .option('--deviation <share>', 'of one report', share, 0.05)
    .option('--items <count>', 'a report is the share of right answers among so many', count, 0)
    .option('--interval <seconds>', 'between two reports; default: a sixth of an epoch', seconds)
    .option('--bad <count>', 'nodes that turn bad now and then', count, 5)
    .option('--bad-mean <score>', 'their quality then', share, 0.5)
    .option('--bad-epochs <count>', 'for so long', epochs, 60)
    .option('--bad-every <count>', 'epochs in between', epochs, 200)
    .option('--decay <share>', 'loss of quality in an epoch, of all', share, 0)
    .option('--swing <share>', 'how far quality swings', share, 0)
    .option('--swing-epochs <count>', 'once in so many epochs', epochs, 60)
    .option('--loss <share>', 'of reports that do not arrive', share, 0)
    .option('--bias <share>', 'what all reports are off by at times', numberBetween(-1, 1), 0)
    .option('--bias-every <count>', 'in one of so many epochs', epochs, 500)
    .addOption(
      new Option('--gaming <how>', 'what bad nodes report')
        .choices(['none', 'boundary', 'best', 'best-mean'])
        .default('none'),
    )
    .option('--table', 'run lengths of the rules by formula: nothing is simulated')
    .option('--plot <file>', 'scores and membership as SVG')
    .option('--curve <file>', 'false cuts against delay over thresholds as SVG')
    .option(
      '--fail-above <count>',
      'exit code 1 above so many false cuts a day',
      numberBetween(0, 1e9),
    )
    .addOption(json())
    .action(async (options) => {
      const { replay } = await import('../meshnet-replay.ts');
      await replay(options);
    });
}
