import type { Command } from 'commander';
import { admin, json } from './options.ts';

/** `meshnet policy`. */
export function declarePolicy(program: Command): void {
  const policy = program.command('policy').description('by which rules the mesh is judged');
  policy
    .command('check')
    .argument('<file>')
    .description('read a policy as a controller would; asks none')
    .addOption(json())
    .action(async (file, options) => {
      const { checkPolicy } = await import('../meshnet-policy.ts');
      checkPolicy(file, options);
    });
  admin(
    policy.command('brake').description("what the brake holds, and an operator's word about it"),
  )
    .option('--release', 'they have really failed: all of them go at once')
    .action(async (options) => {
      const { showBrake, releaseBrake } = await import('../meshnet-brake.ts');
      await (options.release ? releaseBrake(options) : showBrake(options));
    });
  admin(policy.command('show').description('the policy in force')).action(async (options) => {
    const { showPolicy } = await import('../meshnet-policy.ts');
    await showPolicy(options);
  });
  admin(
    policy
      .command('set')
      .argument('<file>')
      .description('judge by it from the next epoch on; says first whom it would cut'),
  )
    .option('--dry-run', 'only say it')
    .option('--yes', 'also if it would cut more members at once than the brake believes')
    .action(async (file, options) => {
      const { setPolicy } = await import('../meshnet-policy.ts');
      await setPolicy(file, options);
    });
}
