// npm run prove -- crowd: a rotation of 50 nodes in one process is no flood of handshakes.

import { programOptions } from '../lab/programs.ts';
import { rotateCrowd } from './crowd-run.ts';
import { observeMachine } from './priority.ts';

const values = programOptions({
  nodes: { type: 'string', default: '50' },
  json: { type: 'boolean', default: false },
});
const machine = observeMachine();
const result = await rotateCrowd(Number(values.nodes));
process.stdout.write(
  `${JSON.stringify({ ...result, machine: machine() }, null, values.json ? 0 : 2)}\n`,
);
process.exitCode = result.passed ? 0 : 1;
