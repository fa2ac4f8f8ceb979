import { type Command, Option } from 'commander';
import { httpUrl } from '../numbers.ts';
import { admin, nodeState } from './options.ts';

/** `meshnet doctor`. */
export function declareDoctor(program: Command): void {
  admin(
    program
      .command('doctor')
      .description(
        'look at all that the controller or the node of this machine needs, and say what to do',
      )
      .option('--state <dir>', 'state of the node', nodeState)
      .addOption(
        new Option('--controller <url>', 'as nodes reach it (default: as this machine knows it)')
          .env('MESHNET_CONTROLLER')
          .argParser(httpUrl),
      ),
  ).action(async (options) => {
    const { doctor } = await import('../meshnet-doctor.ts');
    await doctor(options);
  });
}
