// npm run prove -- denied: a denied node on real TUN devices does everything it can.

import { programOptions } from '../lab/programs.ts';
import { attackAsDenied } from './denied-run.ts';
import { observeMachine } from './priority.ts';

const values = programOptions({ json: { type: 'boolean', default: false } });
const machine = observeMachine();
const result = await attackAsDenied();
process.stdout.write(
  `${JSON.stringify({ ...result, machine: machine() }, null, values.json ? 0 : 2)}\n`,
);
process.exitCode = result.passed ? 0 : 1;
