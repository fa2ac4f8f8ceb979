import { join } from 'node:path';
import { chooseProgram, type Program } from '../lab/programs.ts';

/** `npm run prove -- NAME [OPTIONS]`: shows what docs/ROTATION.md claims, by numbers. */
const program = (file: string, shows: string): Program => ({
  file: join(import.meta.dirname, file),
  shows,
});

process.exitCode = await chooseProgram(
  'npm run prove --',
  {
    rotation: program('rotation.ts', 'simulated rotations lose no packet'),
    hitless: program('hitless.ts', 'rotations on real interfaces lose no packet'),
    exclusion: program('exclusion.ts', 'how fast a node that is cut is shut out everywhere'),
    denied: program('denied.ts', 'what a denied node tries, and that none of it is accepted'),
    fanout: program('fanout.ts', 'how fast an epoch reaches many nodes'),
    epoch: program(
      'epoch-cost.ts',
      'what an epoch costs the controller and a member, and how many bytes',
    ),
    scale: program(
      'scale.ts',
      'what grows with the members: enrolment, the way of a removal to all streams, reading the epoch',
    ),
    idle: program('idle.ts', 'what a device costs that has nothing to do, by its peers'),
    crowd: program('crowd.ts', 'many nodes in one process rotate at the same time'),
  },
  process.argv.slice(2),
);
