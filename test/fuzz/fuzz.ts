import { join } from 'node:path';
import { chooseProgram, type Program } from '../lab/programs.ts';

/** `npm run fuzz -- NAME [--count N] [--seed N]`: hostile input, reproducible by its seed. */
const program = (file: string, shows: string, nodeOptions: string[] = []): Program => ({
  file: join(import.meta.dirname, file),
  shows,
  nodeOptions,
});

process.exitCode = await chooseProgram(
  'npm run fuzz --',
  {
    datagrams: program('datagrams.ts', 'malformed datagrams at a device', ['--expose-gc']),
    harness: program('harness.ts', 'damaged results at the adapters of harnesses', ['--expose-gc']),
    http: program('http.ts', 'hostile requests at a controller'),
  },
  process.argv.slice(2),
);
