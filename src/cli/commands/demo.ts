import { type Command, Option } from 'commander';
import { numberBetween } from '../numbers.ts';

/** `meshnet demo`. */
export function declareDemo(program: Command): void {
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
      const { runDemo } = await import('../meshnet-demo.ts');
      await runDemo(options);
    });
}
