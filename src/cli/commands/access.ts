import { type Command, Option } from 'commander';
import { ROLES } from '../../contract/access.ts';
import { durationSeconds } from '../numbers.ts';
import { admin } from './options.ts';

/** `meshnet access`. */
export function declareAccess(program: Command): void {
  const access = program.command('access').description('who may administer over the network');
  admin(
    access
      .command('create')
      .argument('<name>')
      .description('make an access token, for a person or a program; it is shown this once')
      .addOption(
        new Option('--role <role>', 'what it opens: reading, running the mesh, everything')
          .choices(ROLES)
          .makeOptionMandatory(),
      )
      .option('--ttl <time>', 'how long it can be used; default: until revoked', durationSeconds),
  ).action(async (name, options) => {
    const { createAccess } = await import('../meshnet-access.ts');
    await createAccess(name, options);
  });
  admin(access.command('list').description('access tokens that can still be used')).action(
    async (options) => {
      const { listAccess } = await import('../meshnet-access.ts');
      await listAccess(options);
    },
  );
  admin(
    access.command('revoke').argument('<name>').description('end what a token gives access to'),
  ).action(async (name, options) => {
    const { revokeAccess } = await import('../meshnet-access.ts');
    await revokeAccess(name, options);
  });
}
